//! Step 3: edits of the RLVR model's residual stream in its prefill. Rows are replaced by the base's, or a learned delta is added to them.
mod edit;

use std::collections::{BTreeMap, BTreeSet};

use candle_core::Tensor;

pub use edit::{Change, LayerEdit};

use crate::config::Alignment;
use crate::rank::Selection;
use crate::{Activations, Result, RowSet};

/// All edits of one prompt, by the residual they apply to.
#[derive(Debug, Clone)]
pub struct Edits {
    /// The row of the prompt at which the prefill begins: 0, unless keys and values of earlier rows come from the prefix cache.
    first: usize,
    layers: BTreeMap<usize, LayerEdit>,
}

impl Edits {
    /// Edits that put the base's residuals at the selected rows. `blend` is the share of the base: 1 replaces the row.
    ///
    /// # Errors
    /// If a residual or row was not captured.
    pub fn new(selection: &Selection, base: &Activations, alignment: Alignment, blend: f64) -> Result<Self> {
        let mut layers = BTreeMap::new();
        for layer in selection.layers.iter().filter(|layer| !layer.rows.is_empty()) {
            let residual = alignment.edited_residual(layer.layer);
            // Copied, since a view would keep the whole residual in memory as long as the edit lives.
            let values = base.select(residual, &layer.rows)?.force_contiguous()?;
            layers.insert(residual, LayerEdit::new(layer.rows.clone(), values, Change::Replace { blend })?);
        }
        Ok(Self { first: 0, layers })
    }

    /// An edit that adds a delta to `residual[layer]`.
    ///
    /// # Shapes
    /// `delta`: `[rows, hidden]`.
    ///
    /// # Errors
    /// [`Error::Size`](crate::Error::Size) if there is not one row of the delta for each row.
    pub fn delta(layer: usize, rows: RowSet, delta: Tensor) -> Result<Self> {
        Ok(Self { first: 0, layers: BTreeMap::from([(layer, LayerEdit::new(rows, delta, Change::Add)?)]) })
    }

    /// Bytes of memory held by the values.
    pub fn bytes(&self) -> u64 {
        let bytes = |values: &Tensor| (values.elem_count() * values.dtype().size_in_bytes()) as u64;
        self.layers.values().map(|edit| bytes(edit.values())).sum()
    }

    /// Whether no row is edited.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// The edit of `residual[layer]`, if there is one.
    pub fn layer(&self, layer: usize) -> Option<&LayerEdit> {
        self.layers.get(&layer)
    }

    /// Residuals that are edited, ascending.
    pub fn residuals(&self) -> impl Iterator<Item = usize> + '_ {
        self.layers.keys().copied()
    }

    /// The first row of the prompt that is edited, if one is.
    pub fn first_row(&self) -> Option<usize> {
        self.layers.values().filter_map(|edit| edit.rows().first()).min()
    }

    /// The first row that the two edit differently, if there is one, for two prompts of the same models and settings that are equal up to
    /// that row. A base residual does not depend on later rows, so rows that are replaced in both count as edited alike: their values are
    /// equal up to rounding. A delta is learned for all rows together, so its rows count as alike only if their values are equal.
    pub fn first_difference(&self, other: &Self) -> Option<usize> {
        let residuals: BTreeSet<usize> = self.residuals().chain(other.residuals()).collect();
        let differs = |residual: usize| match (self.layer(residual), other.layer(residual)) {
            (Some(a), Some(b)) => a.first_difference(b),
            (Some(only), None) | (None, Some(only)) => only.rows().first(),
            (None, None) => None,
        };
        residuals.into_iter().filter_map(differs).min()
    }

    /// The same edits for a prefill that begins at row `first` of the prompt, because keys and values of earlier rows come from the prefix
    /// cache. Edits of those earlier rows are dropped.
    ///
    /// # Errors
    /// Those of the tensor library.
    pub fn after(&self, first: usize) -> Result<Self> {
        let mut layers = BTreeMap::new();
        for (&residual, edit) in &self.layers {
            if let Some(edit) = edit.starting_at(first)? {
                layers.insert(residual, edit);
            }
        }
        Ok(Self { first, layers })
    }

    /// `residual[layer]` of this prompt after its edit; `None` if it has no edit. The other rows stay equal bit for bit.
    ///
    /// # Shapes
    /// `hidden`: `[rows, hidden]` of the prompt (rows past it, generated ones, may follow), from the row where the prefill begins;
    /// returns the same.
    ///
    /// # Errors
    /// [`Error::Size`](crate::Error::Size) if `hidden` has fewer rows than the prompt, or another width.
    pub fn apply(&self, layer: usize, hidden: &Tensor) -> Result<Option<Tensor>> {
        self.layers.get(&layer).map(|edit| edit.apply(self.first, hidden)).transpose()
    }
}

#[cfg(test)]
mod tests;
