//! Entropies of the candidates of one policy layer.
use crate::error::{Error, Result};
use crate::role::Role;
use crate::rows::RowSet;

/// Logit-lens entropies of rows of the prompt at the output of one policy layer, in nats.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerEntropies {
    layer: usize,
    rows: RowSet,
    values: Vec<f32>,
}

impl LayerEntropies {
    /// Entropies of these rows; NaN where a row is not finite.
    ///
    /// # Errors
    /// [`Error::Size`] if there is not one value for each row.
    pub fn new(layer: usize, rows: RowSet, values: Vec<f32>) -> Result<Self> {
        if rows.len() != values.len() {
            return Err(Error::size(format!("entropies of policy layer {layer}"), rows.len(), values.len()));
        }
        Ok(Self { layer, rows, values })
    }

    /// The policy layer.
    pub fn layer(&self) -> usize {
        self.layer
    }

    /// The rows, by their position in the prompt.
    pub fn rows(&self) -> &RowSet {
        &self.rows
    }

    /// One entropy for each row, in nats.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The rows with a finite entropy, and their entropies.
    pub(super) fn finite(&self) -> (RowSet, Vec<f32>) {
        let finite = |&i: &usize| self.values[i].is_finite();
        let finite: Vec<usize> = (0..self.values.len()).filter(finite).collect();
        (self.rows.subset(&finite), finite.iter().map(|&i| self.values[i]).collect())
    }

    /// The entropies of some of the rows, in prompt order.
    pub(super) fn of_rows(&self, rows: &RowSet, role: Role) -> Result<Vec<f32>> {
        let captured = self.rows.len();
        let positions = rows.positions_in(&self.rows);
        let positions = positions.map_err(|row| Error::RowNotCaptured { role, row, captured })?;
        Ok(positions.into_iter().map(|i| self.values[i]).collect())
    }
}
