//! Does the differentiable decoder compute what the engine computes? Weights, norms, rotary positions of an image and of the text after
//! it, visual features between layers: if any of it were wrong, learning would go on all the same and lead elsewhere.
use std::ops::Range;
use std::sync::Arc;

use candle_core::{DType, Tensor};
use mistralrs_core::Pipeline;
use replay_core::learned::Differentiable;
use replay_core::{Error, Role};

use super::picture;
use crate::error::AttachError;
use crate::families::{Family, Labels};
use crate::runtime::decoder::{EngineDecoder, Precision};
use crate::runtime::prefix::prefix;
use crate::runtime::tap::CaptureTap;

/// Length of a row's difference over the length of the row: a few outlying channels would hide errors in all others from a largest
/// value. The decoder computes in f32 with weights as they are; half precision and quantised kernels of the engine round on the way.
const EXACT: f32 = 1e-4;
const TENSOR_CORES: f32 = 5e-3;
const HALF: f32 = 0.05;
const QUANTISED: f32 = 0.3;

/// Compares every residual of `layers` over the rows of two small pictures between two words. Returns the largest difference.
///
/// # Errors
/// If the engine fails on the picture, or a residual differs.
pub(crate) fn test_prefix(
    pipeline: &mut dyn Pipeline,
    family: &'static Family,
    labels: &Labels,
    decoder: &Arc<EngineDecoder>,
    layers: Range<usize>,
    role: Role,
) -> Result<f32, AttachError> {
    let all: Vec<usize> = (layers.start..=layers.end.max(decoder.deepstack)).collect();
    let tap = Arc::new(CaptureTap::whole(&all));
    let (prompt, _) = picture::run(pipeline, family, labels, &picture::two(), tap.clone(), role)?;
    let captured = tap.finish(role)?;

    let prefix = prefix(decoder, &prompt, layers.clone(), &captured)?;
    let tolerance = match decoder.precision() {
        Precision::Exact if prefix.input().device().is_cpu() => EXACT,
        Precision::Exact => TENSOR_CORES,
        Precision::Half => HALF,
        Precision::Quantised => QUANTISED,
    };
    let mut residual = prefix.input().clone();
    let mut worst = 0f32;
    for layer in layers {
        residual = prefix.forward(layer, &residual, None)?.0;
        let engine = captured.residual(layer + 1)?.narrow(0, prefix.rows().start, prefix.rows().len())?;
        let distance = distance(&engine.to_dtype(DType::F32)?, &residual)?;
        // A NaN must not pass for small.
        if distance.is_nan() || distance > tolerance {
            return Err(Error::engine(format!(
                "the differentiable decoder does not compute what the {role} model computes: residual[{}] differs by \
                 {distance:e} of its length in some row, {tolerance:e} would pass",
                layer + 1
            ))
            .into());
        }
        worst = worst.max(distance);
    }
    Ok(worst)
}

/// The largest over all rows.
fn distance(engine: &Tensor, own: &Tensor) -> candle_core::Result<f32> {
    let length = |tensor: &Tensor| tensor.sqr()?.sum(1)?.sqrt()?.to_vec1::<f32>();
    let off = length(&(engine - own.to_device(engine.device())?)?)?;
    let shares = off.iter().zip(length(engine)?).map(|(off, length)| off / length.max(f32::MIN_POSITIVE));
    Ok(shares.fold(0.0, |worst, share| if share > worst || share.is_nan() { share } else { worst }))
}
