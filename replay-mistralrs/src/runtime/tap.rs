//! The tap of a side pass: keeps the residuals asked for, applies edits if there are any, and stops after the last layer asked for.
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{IndexOp, Result, Tensor};
use mistralrs_core::forward_hook::{Flow, LayerTap, Site};
use replay_core::substitute::Edits;
use replay_core::{Activations, Error, Role, RowSet};

#[derive(Debug, Default)]
struct Seen {
    taps: usize,
    residuals: BTreeMap<usize, Tensor>,
}

/// Captures `residual[j]` for each `j` of `layers`.
#[derive(Debug)]
pub(crate) struct CaptureTap {
    layers: Vec<usize>,
    /// Rows of the prompt; `None` means all rows of the pass.
    rows: Option<RowSet>,
    /// Applied before anything is captured.
    edits: Option<Arc<Edits>>,
    /// Ends the pass after the last of `layers`.
    stops: bool,
    seen: Mutex<Seen>,
}

impl CaptureTap {
    /// Captures the first `rows` rows.
    pub(crate) fn new(layers: &[usize], rows: usize) -> Self {
        Self::of_rows(layers, RowSet::all(rows))
    }

    /// Captures some rows of the prompt: nothing of the others is held after the pass.
    pub(crate) fn of_rows(layers: &[usize], rows: RowSet) -> Self {
        Self { rows: Some(rows), ..Self::whole(layers) }
    }

    /// Captures all rows of a pass whose length is not known yet.
    pub(crate) fn whole(layers: &[usize]) -> Self {
        Self { layers: layers.to_vec(), rows: None, edits: None, stops: true, seen: Mutex::default() }
    }

    /// Lets the pass go on to its end after the last layer asked for.
    pub(crate) fn through(self) -> Self {
        Self { stops: false, ..self }
    }

    /// Edits the pass as well.
    pub(crate) fn editing(self, edits: Arc<Edits>) -> Self {
        Self { edits: Some(edits), ..self }
    }

    fn last(&self) -> usize {
        self.layers.iter().copied().max().unwrap_or(0)
    }

    /// What was captured.
    ///
    /// # Errors
    /// If a tap did not fire: a hook that sees nothing must not pass for one that has nothing to do.
    pub(crate) fn finish(&self, role: Role) -> replay_core::Result<Activations> {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        let expected = self.last() + 1;
        if seen.taps != expected {
            return Err(Error::Taps { role, expected, saw: seen.taps });
        }
        let all = seen.residuals.values().next().map_or(Ok(0), |residual| residual.dim(0))?;
        let mut activations = Activations::new(role, self.rows.clone().unwrap_or_else(|| RowSet::all(all)));
        for (layer, residual) in seen.residuals {
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
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.taps += 1;
        let edits = self.edits.as_ref().filter(|edits| edits.layer(site.layer).is_some());
        let edited = match edits {
            Some(edits) => edits.apply(site.layer, &hidden.i(0)?).map_err(candle_core::Error::wrap)?,
            None => None,
        };
        let edited = edited.map(|edited| edited.unsqueeze(0)).transpose()?;
        let hidden = edited.as_ref().unwrap_or(hidden);
        if self.layers.contains(&site.layer) {
            let hidden = hidden.i(0)?;
            let captured = match &self.rows {
                Some(rows) => rows.take_from(&hidden).map_err(candle_core::Error::wrap)?,
                None => hidden,
            };
            seen.residuals.insert(site.layer, captured);
        }
        Ok(match edited {
            _ if self.stops && site.layer >= self.last() => Flow::Stop,
            Some(edited) => Flow::Replace(edited),
            None => Flow::Continue,
        })
    }

    fn ignored(&self, _: Site, _: &str) {
        // Only the real forward ignores a tap.
    }
}
