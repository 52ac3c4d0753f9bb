//! Tests that the logit lens after the last layer gives the model's own logits. With a wrong norm, epsilon, soft cap or head, entropies would
//! be wrong, and rows would be selected without any error.
use candle_core::{DType, Device, IndexOp, Tensor};
use replay_core::lens::LogitLens;
use replay_core::{Activations, Error, Result, Role};

use crate::runtime::lens::EngineLens;

/// The largest difference of a logit that passes, over the largest logit. Tensor cores of a GPU round f32 too, and half precision more.
const F32_ON_CPU: f32 = 1e-4;
const F32_ON_GPU: f32 = 5e-3;
const HALF_OR_QUANTISED: f32 = 0.05;

/// Compares the lens on the last row of `residual[layers]` with the logits of the same pass.
///
/// # Shapes
/// `logits`: `[1, 1, vocabulary]` or `[1, vocabulary]`.
///
/// # Errors
/// If they differ by more than the tolerance, or the pass computed no logits.
pub(super) fn test_lens(
    lens: &EngineLens,
    captured: &Activations,
    layers: usize,
    logits: Option<Tensor>,
    role: Role,
) -> Result<()> {
    let logits = logits.ok_or_else(|| Error::engine(format!("the {role} model computed no logits")))?;
    let residual = captured.residual(layers)?;
    let last = residual.narrow(0, residual.dim(0)? - 1, 1)?;
    let to_vec =
        |logits: &Tensor| logits.flatten_all()?.to_dtype(DType::F32)?.to_device(&Device::Cpu)?.to_vec1::<f32>();
    let (lens_logits, model_logits) = (to_vec(&lens.logits(&last)?.i(0)?)?, to_vec(&logits)?);
    if lens_logits.len() != model_logits.len() {
        return Err(Error::size(format!("logits of the {role} model"), lens_logits.len(), model_logits.len()));
    }
    let largest = model_logits.iter().fold(f32::MIN_POSITIVE, |largest, logit| largest.max(logit.abs()));
    let differences = lens_logits.iter().zip(&model_logits).map(|(a, b)| (a - b).abs() / largest);
    let worst = differences.fold(0.0, |worst: f32, off| if off > worst || off.is_nan() { off } else { worst });
    let tolerance = match (lens.is_unquantised_f32(), residual.device().is_cpu()) {
        (true, true) => F32_ON_CPU,
        (true, false) => F32_ON_GPU,
        (false, _) => HALF_OR_QUANTISED,
    };
    // A comparison with NaN is false, so it needs a check of its own.
    if worst.is_nan() || worst > tolerance {
        return Err(Error::engine(format!(
            "the logit lens after the last layer differs from the logits of the {role} model: expected at most {tolerance:e} of the \
             largest logit, got {worst:e}"
        )));
    }
    Ok(())
}
