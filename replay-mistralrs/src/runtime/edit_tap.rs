//! The tap of the real prefill, which applies the edits of each sequence of the batch.
use std::sync::Arc;

use candle_core::{IndexOp, Result, Tensor};
use mistralrs_core::forward_hook::{Flow, LayerTap, Site};
use replay_core::metrics;
use replay_core::substitute::Edits;

use crate::runtime::prefix_cache::PrefixCache;

/// Applies edits to the residuals of a real prefill.
pub(crate) struct EditTap {
    /// The edits of each sequence, in the order of the batch.
    edits: Vec<Option<Arc<Edits>>>,
    prefix_cache: Arc<PrefixCache>,
}

impl EditTap {
    /// Creates a tap, or `None` if no sequence of the batch has edits. `prefix_cache` will keep the keys and values of this prefill.
    pub(crate) fn new(edits: Vec<Option<Arc<Edits>>>, prefix_cache: &Arc<PrefixCache>) -> Option<Self> {
        edits.iter().any(Option::is_some).then(|| Self { edits, prefix_cache: prefix_cache.clone() })
    }
}

impl LayerTap for EditTap {
    /// # Shapes
    /// `hidden`: `[batch, positions, hidden]`. Sequences and rows without an edit stay the same bit for bit.
    fn layer_input(&self, site: Site, hidden: &Tensor) -> Result<Flow> {
        let edits_layer =
            |edits: &Option<Arc<Edits>>| edits.as_ref().is_some_and(|edits| edits.layer(site.layer).is_some());
        if site.call != 0 || !self.edits.iter().any(edits_layer) {
            return Ok(Flow::Continue);
        }
        let edit_sequence = |(index, edits): (usize, &Option<Arc<Edits>>)| {
            let residual = hidden.i(index)?;
            match edits {
                Some(edits) => {
                    let edited = edits.apply(site.layer, &residual).map_err(candle_core::Error::wrap)?;
                    Ok(edited.unwrap_or(residual))
                }
                None => Ok(residual),
            }
        };
        let residuals = self.edits.iter().enumerate().map(edit_sequence).collect::<Result<Vec<_>>>()?;
        Ok(Flow::Replace(Tensor::stack(&residuals, 0)?))
    }

    fn ignored(&self, site: Site, why: &str) {
        // Shapes were checked when the edits were made, so this is a bug in replay. The requests are still answered, but without the edits,
        // so the prefix cache would keep their keys and values under a wrong identity.
        self.prefix_cache.disable();
        if metrics::count_failed_edit() {
            tracing::error!(
                "replay could not edit residual[{}], and the prefill continued without the edit: {why}",
                site.layer
            );
        }
    }
}
