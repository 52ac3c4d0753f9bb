//! The tap of the real prefill: applies the edits of each sequence to its row of the batch.
use std::sync::Arc;

use candle_core::{IndexOp, Result, Tensor};
use mistralrs_core::forward_hook::{Flow, LayerTap, Site};
use replay_core::metrics;
use replay_core::substitute::Edits;

use crate::runtime::prefix_cache::PrefixCache;

/// One entry per sequence of the batch, in its order.
pub(crate) struct EditTap {
    rows: Vec<Option<Arc<Edits>>>,
    prefixes: Arc<PrefixCache>,
}

impl EditTap {
    /// `None` if no sequence of the batch has edits. `prefixes` keeps the prefill's keys and values as those of edited rows.
    pub(crate) fn new(rows: Vec<Option<Arc<Edits>>>, prefixes: &Arc<PrefixCache>) -> Option<Self> {
        rows.iter().any(Option::is_some).then(|| Self { rows, prefixes: prefixes.clone() })
    }
}

impl LayerTap for EditTap {
    /// # Shapes
    /// `hidden`: `[batch, positions, hidden]`. Sequences and rows without an edit come out bit for bit.
    fn layer_input(&self, site: Site, hidden: &Tensor) -> Result<Flow> {
        let edits = |row: &Option<Arc<Edits>>| row.as_ref().is_some_and(|edits| edits.layer(site.layer).is_some());
        if site.call != 0 || !self.rows.iter().any(edits) {
            return Ok(Flow::Continue);
        }
        let edited = |(index, edits): (usize, &Option<Arc<Edits>>)| {
            let row = hidden.i(index)?;
            match edits {
                Some(edits) => {
                    let edited = edits.apply(site.layer, &row).map_err(candle_core::Error::wrap)?;
                    Ok(edited.unwrap_or(row))
                }
                None => Ok(row),
            }
        };
        let rows = self.rows.iter().enumerate().map(edited).collect::<Result<Vec<_>>>()?;
        Ok(Flow::Replace(Tensor::stack(&rows, 0)?))
    }

    fn ignored(&self, site: Site, why: &str) {
        // Shapes were checked when the edits were made, so this is a fault of ours. The requests are answered all the same, but their keys
        // and values are not those that the prefix cache would take them for.
        self.prefixes.stop();
        if metrics::count_failed_edit() {
            tracing::error!("replay could not edit residual[{}], which went on as it was: {why}", site.layer);
        }
    }
}
