//! Can a forward begin after rows whose keys and values are known? It is asked of every model whose prefixes are to be kept: a mask, a
//! position or an input between the layers that was not cut would answer all the same, and wrongly.
use candle_core::{DType, Device, Tensor};
use mistralrs_core::Pipeline;
use mistralrs_core::forward_hook::probe_later;

use super::picture;
use crate::families::{Family, Labels};
use crate::runtime::prefix_cache::Images;

/// Largest difference of a logit over the largest logit.
const EXACT: f32 = 1e-4;
const ROUNDED: f32 = 0.05;

/// A prompt with two pictures, from its second row on, from its last but one, and from what it has in common with a prompt that has the
/// first picture alone; each against the whole of it.
///
/// # Errors
/// Why it cannot: then nothing is kept, and everything else works.
pub(crate) fn test_prefix_cache(
    pipeline: &mut dyn Pipeline,
    family: &Family,
    labels: &Labels,
    exact: bool,
) -> Result<Images, String> {
    // The larger one last: an engine may pad all to the largest.
    let mut pictures = if family.one_image { picture::one() } else { picture::two() };
    pictures.reverse();
    let first = pictures[..1].to_vec();
    let tokens = |pipeline: &dyn Pipeline, count, last| picture::tokens(pipeline, family, labels, count, last);
    let prompt = (tokens(pipeline, pictures.len(), "there")?, pictures);
    let earlier = (tokens(pipeline, 1, "elsewhere")?, first);
    let seen = probe_later(pipeline, prompt, earlier).map_err(|e| e.to_string())?;
    let seen =
        seen.ok_or("the engine does not keep its keys and values by position, or drops those of a prompt this long")?;
    let logits = |t: &Tensor| -> Result<Vec<f32>, String> {
        let on_cpu = || t.flatten_all()?.to_dtype(DType::F32)?.to_device(&Device::Cpu)?.to_vec1::<f32>();
        on_cpu().map_err(|e| e.to_string())
    };
    let whole = logits(&seen.whole)?;
    let largest = whole.iter().fold(f32::MIN_POSITIVE, |largest, logit| largest.max(logit.abs()));
    let tolerance = if exact { EXACT } else { ROUNDED };
    let worst = |later: &Tensor| -> Result<f32, String> {
        let off = whole.iter().zip(&logits(later)?).map(|(a, b)| (a - b).abs() / largest).collect::<Vec<_>>();
        // A NaN must not pass for small.
        Ok(off.into_iter().fold(0.0, |worst: f32, off| if off > worst || off.is_nan() { off } else { worst }))
    };
    for later in &seen.after_its_own {
        let worst = worst(later)?;
        if worst.is_nan() || worst > tolerance {
            return Err(format!(
                "begun later it does not compute the same: a logit differs by {worst:e} of the largest"
            ));
        }
    }
    let worst = worst(&seen.after_another)?;
    Ok(if worst <= tolerance { Images::EachForItself } else { Images::Together })
}
