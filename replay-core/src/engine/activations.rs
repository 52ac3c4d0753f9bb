//! Captured residual streams.
use std::collections::BTreeMap;

use candle_core::{Device, Tensor};

use crate::error::{Error, Result};
use crate::role::Role;
use crate::rows::{RowSet, select_rows};

/// The residual streams of some rows of one prompt in one model, in the engine's own precision.
///
/// Rows are identified by their position in the prompt, never by their index in the capture.
///
/// # Shapes
/// `residual[j]`: `[captured rows, hidden]`, rows in prompt order.
#[derive(Debug, Clone)]
pub struct Activations {
    role: Role,
    rows: RowSet,
    layers: BTreeMap<usize, Tensor>,
}

impl Activations {
    /// Activations of these rows of a prompt, without any residual yet.
    pub fn new(role: Role, rows: RowSet) -> Self {
        Self { role, rows, layers: BTreeMap::new() }
    }

    /// Adds `residual[layer]` of the captured rows.
    ///
    /// # Shapes
    /// `residual`: `[captured rows, hidden]`.
    ///
    /// # Errors
    /// [`Error::Size`] if it has another shape.
    pub fn insert(&mut self, layer: usize, residual: Tensor) -> Result<()> {
        match residual.dims() {
            [rows, _] if *rows == self.rows.len() => {
                self.layers.insert(layer, residual);
                Ok(())
            }
            other => Err(self.wrong_size(layer, format!("{other:?}"))),
        }
    }

    /// Adds the captured rows of `residual[layer]`, given the residual of the whole prompt.
    ///
    /// # Shapes
    /// `residual`: `[prompt rows, hidden]`, where other rows (generated tokens) may follow.
    ///
    /// # Errors
    /// [`Error::Size`] if it has too few rows; those of the tensor library.
    pub fn insert_from(&mut self, layer: usize, residual: &Tensor) -> Result<()> {
        self.insert(layer, self.rows.take_from(residual)?)
    }

    /// Adds `residual[layer]` of the captured rows, for engines without candle tensors.
    ///
    /// # Shapes
    /// `values`: `[captured rows, hidden]`, row after row.
    ///
    /// # Errors
    /// [`Error::Size`] if there are more or fewer values.
    pub fn insert_host(&mut self, layer: usize, values: Vec<f32>, hidden: usize) -> Result<()> {
        let rows = self.rows.len();
        if values.len() != rows * hidden {
            return Err(self.wrong_size(layer, format!("{} values for width {hidden}", values.len())));
        }
        self.insert(layer, Tensor::from_vec(values, (rows, hidden), &Device::Cpu)?)
    }

    fn wrong_size(&self, layer: usize, got: String) -> Error {
        Error::size(
            format!("residual[{layer}] of the {} model", self.role),
            format!("[{}, hidden]", self.rows.len()),
            got,
        )
    }

    /// The model that was captured.
    pub fn role(&self) -> Role {
        self.role
    }

    /// How many rows were captured.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Which rows of the prompt were captured.
    pub fn prompt_rows(&self) -> &RowSet {
        &self.rows
    }

    /// The captured layers, ascending.
    pub fn layers(&self) -> impl Iterator<Item = usize> + '_ {
        self.layers.keys().copied()
    }

    /// `residual[layer]` of every captured row.
    ///
    /// # Shapes
    /// `[captured rows, hidden]`.
    ///
    /// # Errors
    /// [`Error::NotCaptured`] if it was not captured.
    pub fn residual(&self, layer: usize) -> Result<&Tensor> {
        self.layers.get(&layer).ok_or(Error::NotCaptured { role: self.role, layer })
    }

    /// `residual[layer]` of some rows of the prompt.
    ///
    /// # Shapes
    /// Returns `[rows, hidden]`, in prompt order: a view if the rows are adjacent in the capture.
    ///
    /// # Errors
    /// [`Error::NotCaptured`] or [`Error::RowNotCaptured`] if the residual or a row was not captured.
    pub fn select(&self, layer: usize, rows: &RowSet) -> Result<Tensor> {
        let residual = self.residual(layer)?;
        if *rows == self.rows {
            return Ok(residual.clone());
        }
        let captured = self.rows();
        let positions = rows.positions_in(&self.rows);
        let positions = positions.map_err(|row| Error::RowNotCaptured { role: self.role, row, captured })?;
        Ok(select_rows(residual, &positions)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn rows_are_given_by_their_position_in_the_prompt() {
        let rows = RowSet::new(vec![3, 5, 6, 9]).unwrap();
        let mut activations = Activations::new(Role::Base, rows.clone());
        activations.insert_host(2, vec![3.0, 5.0, 6.0, 9.0], 1).unwrap();
        for wanted in [vec![3, 5, 6, 9], vec![5, 6], vec![3, 9], vec![6], vec![]] {
            let selected = activations.select(2, &RowSet::new(wanted.clone()).unwrap()).unwrap();
            assert_eq!(values(&selected), wanted.iter().map(|&row| row as f32).collect::<Vec<_>>());
        }
        let missing = activations.select(2, &RowSet::new(vec![3, 4]).unwrap()).unwrap_err();
        assert!(matches!(missing, Error::RowNotCaptured { role: Role::Base, row: 4, captured: 4 }), "{missing}");
        assert!(matches!(activations.select(1, &rows), Err(Error::NotCaptured { layer: 1, .. })));
    }

    #[test]
    fn a_residual_of_the_whole_prompt_gives_the_same_rows_as_host_values() {
        let whole: Vec<f32> = (0..20).map(|x| x as f32).collect();
        let whole = Tensor::from_vec(whole, (10, 2), &Device::Cpu).unwrap();
        let mut activations = Activations::new(Role::Rlvr, RowSet::new(vec![1, 4]).unwrap());
        activations.insert_from(0, &whole).unwrap();
        activations.insert_host(1, vec![2.0, 3.0, 8.0, 9.0], 2).unwrap();
        assert_eq!(values(activations.residual(0).unwrap()), values(activations.residual(1).unwrap()));
        let error = activations.insert_host(2, vec![0.0; 3], 2).unwrap_err().to_string();
        assert_eq!(error, "residual[2] of the RLVR model: expected [2, hidden], got 3 values for width 2");
        let error = activations.insert(2, whole).unwrap_err().to_string();
        assert_eq!(error, "residual[2] of the RLVR model: expected [2, hidden], got [10, 2]");
    }
}
