//! The result of a ranking.
use candle_core::{Device, Tensor};
use serde::Serialize;

use super::EntropySpread;
use crate::error::{Error, Result};
use crate::rows::RowSet;

/// The rows selected at one policy layer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerSelection {
    /// The policy layer.
    pub layer: usize,
    /// The selected rows.
    pub rows: RowSet,
    /// Candidates with a finite entropy.
    pub ranked: usize,
    /// Candidates that were left out because their entropy is not finite.
    pub not_finite: usize,
    /// Lowest, mean and highest base entropy of the ranked candidates; `None` if there are none.
    pub entropy: Option<EntropySpread>,
}

/// The rows selected at each policy layer, in layer order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Selection {
    /// One entry per policy layer.
    pub layers: Vec<LayerSelection>,
}

impl Selection {
    /// Whether no row is selected at any layer.
    pub fn is_empty(&self) -> bool {
        self.layers.iter().all(|layer| layer.rows.is_empty())
    }

    /// The mask of each policy layer over all rows of a prompt of `rows` rows.
    ///
    /// # Shapes
    /// Returns `[policy layers, rows]`, u8: 1 where selected.
    ///
    /// # Errors
    /// [`Error::Size`] if a selected row is not below `rows`.
    pub fn mask(&self, rows: usize) -> Result<Tensor> {
        mask(self.layers.iter().map(|layer| &layer.rows), rows)
    }
}

/// The mask of each set of rows: 1 for its rows, 0 for all others.
///
/// # Shapes
/// Returns `[sets, rows]`, u8.
///
/// # Errors
/// [`Error::Size`] if a set has a row beyond `rows`.
pub(crate) fn mask<'a>(sets: impl ExactSizeIterator<Item = &'a RowSet>, rows: usize) -> Result<Tensor> {
    let count = sets.len();
    let mut mask = vec![0u8; count * rows];
    for (index, set) in sets.enumerate() {
        if let Some(row) = set.last().filter(|&row| row >= rows) {
            return Err(Error::size("selected row", format!("below {rows}"), row));
        }
        set.iter().for_each(|row| mask[index * rows + row] = 1);
    }
    Ok(Tensor::from_vec(mask, (count, rows), &Device::Cpu)?)
}
