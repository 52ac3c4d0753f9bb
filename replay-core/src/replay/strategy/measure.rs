//! The divergence of the models at the edited rows, before and after the edits.
use candle_core::Tensor;

use crate::lens::StreamedLens;
use crate::substitute::Edits;
use crate::{Activations, BeforeAfter, LayerReport, ReplayBackend, Result, Role};

/// Writes the mean divergence of the edited rows into each layer's report: between clean passes, and with the edit of that layer only.
///
/// # Errors
/// If a residual or row was not captured; those of the lenses.
pub(super) async fn measure(
    backend: &dyn ReplayBackend,
    memory: u64,
    edits: &Edits,
    base: &Activations,
    rlvr: &Activations,
    layers: &mut [LayerReport],
) -> Result<()> {
    let (base_lens, rlvr_lens) = (backend.lens(Role::Base), backend.lens(Role::Rlvr));
    let (base_lens, rlvr_lens) = (StreamedLens::new(&*base_lens, memory), StreamedLens::new(&*rlvr_lens, memory));
    for layer in layers {
        let residual = layer.edited_residual;
        let Some(edit) = edits.layer(residual) else { continue };
        let own = rlvr.select(residual, edit.rows())?;
        let base = base.select(residual, edit.rows())?;
        let before = mean_divergence(&base_lens, &base, &rlvr_lens, &own).await?;
        let after = mean_divergence(&base_lens, &base, &rlvr_lens, &edit.changed(&own)?).await?;
        layer.kl = before.zip(after).map(|(before, after)| BeforeAfter { before, after });
    }
    Ok(())
}

/// The mean divergence of the rows that are finite in both models; `None` if there are none.
async fn mean_divergence(
    base_lens: &StreamedLens<'_>,
    base: &Tensor,
    rlvr_lens: &StreamedLens<'_>,
    rlvr: &Tensor,
) -> Result<Option<f32>> {
    let kl = base_lens.divergence(base, rlvr_lens, rlvr).await?;
    let finite: Vec<f64> = kl.into_iter().filter(|kl| !kl.is_nan()).map(f64::from).collect();
    Ok((!finite.is_empty()).then(|| (finite.iter().sum::<f64>() / finite.len() as f64) as f32))
}
