//! Does the logit lens compute what the model itself computes after its last layer? The norm's flavour, its epsilon, a soft cap, a tied
//! head: if any of it were wrong, entropies would be, and rows would be selected all the same.
use candle_core::{DType, Device, IndexOp, Tensor};
use replay_core::lens::LogitLens;
use replay_core::{Activations, Error, Result, Role};

use crate::runtime::lens::EngineLens;

/// Largest difference of a logit over the largest logit. Half precision rounds on the way; so do the tensor cores of a GPU, in f32 too.
const EXACT: f32 = 1e-4;
const TENSOR_CORES: f32 = 5e-3;
const ROUNDED: f32 = 0.05;

/// Compares the lens on the last row of `residual[layers]` with the logits of the same pass.
///
/// # Shapes
/// `logits`: `[1, 1, vocabulary]` or `[1, vocabulary]`.
///
/// # Errors
/// If they differ, or the pass gave no logits.
pub(super) fn test_lens(
    lens: &EngineLens,
    captured: &Activations,
    layers: usize,
    logits: Option<Tensor>,
    role: Role,
) -> Result<()> {
    let logits = logits.ok_or_else(|| Error::engine(format!("the {role} model gave no logits")))?;
    let residual = captured.residual(layers)?;
    let last = residual.narrow(0, residual.dim(0)? - 1, 1)?;
    let row = |logits: &Tensor| logits.flatten_all()?.to_dtype(DType::F32)?.to_device(&Device::Cpu)?.to_vec1::<f32>();
    let (ours, theirs) = (row(&lens.logits(&last)?.i(0)?)?, row(&logits)?);
    if ours.len() != theirs.len() {
        return Err(Error::size(format!("logits of the {role} model"), ours.len(), theirs.len()));
    }
    let largest = theirs.iter().fold(f32::MIN_POSITIVE, |largest, logit| largest.max(logit.abs()));
    let off = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs() / largest);
    let worst = off.fold(0.0, |worst: f32, off| if off > worst || off.is_nan() { off } else { worst });
    let tolerance = match (lens.is_exact(), residual.device().is_cpu()) {
        (true, true) => EXACT,
        (true, false) => TENSOR_CORES,
        (false, _) => ROUNDED,
    };
    // A NaN must not pass for small.
    if worst.is_nan() || worst > tolerance {
        return Err(Error::engine(format!(
            "the logit lens does not compute what the {role} model computes after its last layer: a logit differs by \
             {worst:e} of the largest, {tolerance:e} would pass"
        )));
    }
    Ok(())
}
