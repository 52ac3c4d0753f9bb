//! The gate: whether a prompt is replayed, by how far RL has moved the model on its text.
use candle_core::{D, DType, Tensor};

use super::cache::ReplayCache;
use super::policy::Policy;
use super::strategy::capture;
use crate::{Error, GateReport, PromptMap, ReplayBackend, Result, Role, RowSet};

/// The rows that the gate compares: those without an image's content.
pub(crate) fn text_rows(prompt: &PromptMap) -> Result<RowSet> {
    let text = prompt.rows().iter().filter(|row| row.visual.is_none());
    RowSet::new(text.map(|row| row.position).collect())
}

/// The relative distance of two models' hidden states, `|rlvr - base| / |base|`, for each row.
///
/// # Shapes
/// `base`, `rlvr`: `[rows, hidden]`; returns `rows` values, 0 where both are zero.
///
/// # Errors
/// If the shapes differ; those of the tensor library.
pub(crate) fn drift(base: &Tensor, rlvr: &Tensor) -> Result<Vec<f32>> {
    let (base, rlvr) = (base.to_dtype(DType::F32)?, rlvr.to_dtype(DType::F32)?.to_device(base.device())?);
    let length = |tensor: Tensor| tensor.sqr()?.sum(D::Minus1)?.sqrt()?.to_vec1::<f32>();
    let (moved, from) = (length((rlvr - &base)?)?, length(base)?);
    Ok(moved.into_iter().zip(from).map(|(moved, from)| if moved == 0.0 { 0.0 } else { moved / from }).collect())
}

/// Measures the drift of a prompt, or takes it from the cache; `None` without a gate.
///
/// # Errors
/// [`Error::Unavailable`] if the prompt has no text; those of the passes.
pub(crate) async fn measure(
    policy: &Policy,
    backend: &mut dyn ReplayBackend,
    cache: Option<&ReplayCache>,
) -> Result<Option<GateReport>> {
    let Some((residual, drift_below)) = policy.gate() else { return Ok(None) };
    let key = cache.map(|cache| (cache, super::cache::gate_key(residual, backend.pair(), backend.prompt())));
    let known = key.as_ref().and_then(|(cache, key)| cache.drift(key));
    let mean = match known {
        Some(drift) => drift,
        None => {
            let rows = text_rows(backend.prompt())?;
            if rows.is_empty() {
                return Err(Error::Unavailable("the gate compares text rows, and the prompt has none".into()));
            }
            let base = capture(backend, Role::Base, &[residual], &rows).await?;
            let rlvr = capture(backend, Role::Rlvr, &[residual], &rows).await?;
            let each = drift(base.residual(residual)?, rlvr.residual(residual)?)?;
            let mean = each.iter().copied().map(f64::from).sum::<f64>() / each.len() as f64;
            if let Some((cache, key)) = key {
                cache.insert_drift(key, mean);
            }
            mean
        }
    };
    // A drift that is not finite is not below the threshold.
    Ok(Some(GateReport { residual, drift: mean, drift_below, open: mean < drift_below }))
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn drift_is_relative_to_the_base_and_zero_for_equal_rows() {
        let tensor =
            |rows: &[[f32; 2]]| Tensor::from_slice(rows.as_flattened(), (rows.len(), 2), &Device::Cpu).unwrap();
        let base = tensor(&[[3.0, 4.0], [0.0, 0.0], [1.0, 0.0], [0.0, 0.0]]);
        let rlvr = tensor(&[[3.0, 9.0], [0.0, 0.0], [f32::NAN, 0.0], [1.0, 0.0]]);
        let got = drift(&base, &rlvr).unwrap();
        assert_eq!(got[..2], [1.0, 0.0]);
        assert!(got[2].is_nan() && got[3].is_infinite());
        assert!(drift(&base, &tensor(&[[1.0, 1.0]])).is_err());
    }
}
