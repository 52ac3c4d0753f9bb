//! The tap of a side pass: captures residuals, applies edits if it has any, and stops the pass after the last residual it captures.
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{IndexOp, Result, Tensor};
use mistralrs_core::forward_hook::{Flow, LayerTap, Site};
use replay_core::substitute::Edits;
use replay_core::{Activations, Error, Role, RowSet};

#[derive(Debug, Default)]
struct Captured {
    taps: usize,
    residuals: BTreeMap<usize, Tensor>,
}

/// Captures `residual[j]` for each `j` of `layers`.
#[derive(Debug)]
pub(crate) struct CaptureTap {
    layers: Vec<usize>,
    /// Rows of the prompt; `None` means all rows of the pass.
    rows: Option<RowSet>,
    /// Edits that are applied before the residual is captured.
    edits: Option<Arc<Edits>>,
    /// Whether the pass ends after the last of `layers`.
    stops_early: bool,
    captured: Mutex<Captured>,
}

impl CaptureTap {
    /// Captures the first `rows` rows.
    pub(crate) fn for_first_rows(layers: &[usize], rows: usize) -> Self {
        Self::for_rows(layers, RowSet::all(rows))
    }

    /// Captures these rows of the prompt and holds no others after the pass.
    pub(crate) fn for_rows(layers: &[usize], rows: RowSet) -> Self {
        Self { rows: Some(rows), ..Self::for_all_rows(layers) }
    }

    /// Captures all rows of a pass whose length is not known yet.
    pub(crate) fn for_all_rows(layers: &[usize]) -> Self {
        Self { layers: layers.to_vec(), rows: None, edits: None, stops_early: true, captured: Mutex::default() }
    }

    /// Lets the pass run through all layers, so that it computes logits.
    pub(crate) fn through_all_layers(self) -> Self {
        Self { stops_early: false, ..self }
    }

    /// Applies edits during the pass.
    pub(crate) fn with_edits(self, edits: Arc<Edits>) -> Self {
        Self { edits: Some(edits), ..self }
    }

    fn last_layer(&self) -> usize {
        self.layers.iter().copied().max().unwrap_or(0)
    }

    /// Takes the captured residuals after the pass.
    ///
    /// # Errors
    /// If not every tap fired, since a hook that sees no taps must not look like one that has nothing to do.
    pub(crate) fn take_activations(&self, role: Role) -> replay_core::Result<Activations> {
        let captured = std::mem::take(&mut *self.captured.lock().unwrap_or_else(PoisonError::into_inner));
        let expected = self.last_layer() + 1;
        if captured.taps != expected {
            return Err(Error::Taps { role, expected, saw: captured.taps });
        }
        let row_count = captured.residuals.values().next().map_or(Ok(0), |residual| residual.dim(0))?;
        let mut activations = Activations::new(role, self.rows.clone().unwrap_or_else(|| RowSet::all(row_count)));
        for (layer, residual) in captured.residuals {
            activations.insert(layer, residual)?;
        }
        Ok(activations)
    }
}

impl LayerTap for CaptureTap {
    /// # Shapes
    /// `hidden`: `[1, positions, hidden]`; positions after the prompt's rows are generated tokens.
    fn layer_input(&self, site: Site, hidden: &Tensor) -> Result<Flow> {
        if site.call != 0 {
            return Ok(Flow::Continue);
        }
        let mut captured = self.captured.lock().unwrap_or_else(PoisonError::into_inner);
        captured.taps += 1;
        let edits = self.edits.as_ref().filter(|edits| edits.layer(site.layer).is_some());
        let edited = match edits {
            Some(edits) => edits.apply(site.layer, &hidden.i(0)?).map_err(candle_core::Error::wrap)?,
            None => None,
        };
        let edited = edited.map(|edited| edited.unsqueeze(0)).transpose()?;
        let hidden = edited.as_ref().unwrap_or(hidden);
        if self.layers.contains(&site.layer) {
            let hidden = hidden.i(0)?;
            let residual = match &self.rows {
                Some(rows) => rows.take_from(&hidden).map_err(candle_core::Error::wrap)?,
                None => hidden,
            };
            captured.residuals.insert(site.layer, residual);
        }
        Ok(match edited {
            _ if self.stops_early && site.layer >= self.last_layer() => Flow::Stop,
            Some(edited) => Flow::Replace(edited),
            None => Flow::Continue,
        })
    }

    fn ignored(&self, _: Site, _: &str) {
        // Only the real prefill ignores the result of a tap.
    }
}
