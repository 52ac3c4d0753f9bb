//! The gate: whether a prompt is replayed, by how far RL has moved the model on its text.
use tracing::{Instrument, info_span};

use super::cache::ReplayCache;
use super::policy::Policy;
use super::strategy::capture;
use crate::rank;
use crate::{Error, GateReport, PromptMap, ReplayBackend, Result, Role, RowSet};

/// The rows that the gate compares: those without an image's content.
pub(crate) fn text_rows(prompt: &PromptMap) -> Result<RowSet> {
    let text = prompt.rows().iter().filter(|row| row.visual.is_none());
    RowSet::new(text.map(|row| row.position).collect())
}

/// Measures the drift of a prompt in a tracing span, or takes it from the cache; `None` without a gate.
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
            let mean = mean_drift(backend, residual).instrument(info_span!("gate")).await?;
            if let Some((cache, key)) = key {
                cache.insert_drift(key, mean);
            }
            mean
        }
    };
    // A drift that is not finite is not below the threshold.
    Ok(Some(GateReport { residual, drift: mean, drift_below, open: mean < drift_below }))
}

/// The mean drift of the text rows, from two partial passes.
async fn mean_drift(backend: &mut dyn ReplayBackend, residual: usize) -> Result<f64> {
    let rows = text_rows(backend.prompt())?;
    if rows.is_empty() {
        return Err(Error::Unavailable("the gate compares text rows, and the prompt has none".into()));
    }
    let base = capture(backend, Role::Base, &[residual], &rows).await?;
    let rlvr = capture(backend, Role::Rlvr, &[residual], &rows).await?;
    let each = rank::drift(base.residual(residual)?, rlvr.residual(residual)?)?;
    Ok(each.iter().copied().map(f64::from).sum::<f64>() / each.len() as f64)
}
