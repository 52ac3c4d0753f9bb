//! Tests that a model can start a prefill after rows whose keys and values are cached. A mask, position or per-layer input that was not cut to
//! the remaining rows would give wrong answers without any error.
use candle_core::{DType, Device, Tensor};
use mistralrs_core::Pipeline;
use mistralrs_core::forward_hook::probe_later;

use super::image_prompt::{one_image, tokenize_image_prompt, two_images};
use crate::families::{Family, PromptLabeller};
use crate::runtime::prefix_cache::ImageDependence;

/// The largest difference of a logit that passes, over the largest logit.
const UNQUANTISED_F32: f32 = 1e-4;
const HALF_OR_QUANTISED: f32 = 0.05;

/// Compares the logits of a prompt with two images with those of the same prompt started after cached rows: after its own first row, before its
/// last two rows, and after the prefix it shares with a prompt that has only the first image. The last case shows whether the features of an
/// image depend on the other images.
///
/// # Errors
/// If the logits differ or the engine cannot start later. Then the prefix cache stays off, and replay works without it.
pub(crate) fn test_prefix_cache(
    pipeline: &mut dyn Pipeline,
    family: &Family,
    labeller: &PromptLabeller,
    unquantised_f32: bool,
) -> Result<ImageDependence, String> {
    // The larger image comes last, since a processor may pad all images to the largest.
    let mut images = if family.one_image { one_image() } else { two_images() };
    images.reverse();
    let first_image = images[..1].to_vec();
    let tokenize =
        |pipeline: &dyn Pipeline, count, last_word| tokenize_image_prompt(pipeline, family, labeller, count, last_word);
    let prompt = (tokenize(pipeline, images.len(), "there")?, images);
    let earlier = (tokenize(pipeline, 1, "elsewhere")?, first_image);
    let probed = probe_later(pipeline, prompt, earlier).map_err(|e| e.to_string())?;
    let probed =
        probed.ok_or("the engine does not store keys and values by position, or drops those of a prompt this long")?;
    let to_vec = |t: &Tensor| -> Result<Vec<f32>, String> {
        let on_cpu = || t.flatten_all()?.to_dtype(DType::F32)?.to_device(&Device::Cpu)?.to_vec1::<f32>();
        on_cpu().map_err(|e| e.to_string())
    };
    let whole = to_vec(&probed.whole)?;
    let largest = whole.iter().fold(f32::MIN_POSITIVE, |largest, logit| largest.max(logit.abs()));
    let tolerance = if unquantised_f32 { UNQUANTISED_F32 } else { HALF_OR_QUANTISED };
    let largest_error = |later: &Tensor| -> Result<f32, String> {
        let differences = whole.iter().zip(&to_vec(later)?).map(|(a, b)| (a - b).abs() / largest).collect::<Vec<_>>();
        // A NaN is kept, since a comparison with it is false.
        Ok(differences.into_iter().fold(0.0, |worst: f32, off| if off > worst || off.is_nan() { off } else { worst }))
    };
    for later in &probed.after_its_own {
        let error = largest_error(later)?;
        if error.is_nan() || error > tolerance {
            return Err(format!(
                "a prefill that starts after cached rows gives other logits: expected at most {tolerance:e} of the largest logit, got {error:e}"
            ));
        }
    }
    let error = largest_error(&probed.after_another)?;
    Ok(if error <= tolerance { ImageDependence::OwnImage } else { ImageDependence::AllImages })
}
