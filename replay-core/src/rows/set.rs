//! A set of rows of one prompt.
use std::ops::Range;

use candle_core::{Device, Tensor};
use serde::Serialize;

use crate::{Error, Result};

/// A set of rows of one prompt, by their positions in it, ascending.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct RowSet(Vec<usize>);

impl RowSet {
    /// The rows at these positions.
    ///
    /// # Errors
    /// [`Error::Size`] if the positions do not ascend, each once.
    pub fn new(rows: Vec<usize>) -> Result<Self> {
        match rows.windows(2).find(|pair| pair[0] >= pair[1]) {
            Some(pair) => Err(Error::size(
                "rows of a prompt",
                "ascending positions, each once",
                format!("{} before {}", pair[0], pair[1]),
            )),
            None => Ok(Self(rows)),
        }
    }

    /// Every row of a prompt of `rows` rows.
    pub fn all(rows: usize) -> Self {
        Self::range(0..rows)
    }

    /// Consecutive rows.
    pub fn range(rows: Range<usize>) -> Self {
        Self(rows.collect())
    }

    /// The rows at positions that ascend by construction, which is not checked in release builds.
    pub(crate) fn ascending(rows: Vec<usize>) -> Self {
        debug_assert!(rows.is_sorted_by(|a, b| a < b));
        Self(rows)
    }

    /// The positions, ascending.
    pub fn as_slice(&self) -> &[usize] {
        &self.0
    }

    /// The positions, ascending.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        self.0.iter().copied()
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first row, if there is one.
    pub fn first(&self) -> Option<usize> {
        self.0.first().copied()
    }

    /// The last row, if there is one.
    pub fn last(&self) -> Option<usize> {
        self.0.last().copied()
    }

    /// Whether the row at this position is in the set.
    pub fn contains(&self, row: usize) -> bool {
        self.0.binary_search(&row).is_ok()
    }

    /// Copies these rows from a residual that begins with the prompt's first row. If they are its first rows without gaps, the result is a
    /// view.
    ///
    /// # Shapes
    /// `residual`: `[prompt rows, hidden]`, where other rows (generated tokens) may follow; returns `[rows, hidden]`.
    ///
    /// # Errors
    /// [`Error::Size`] if the residual has too few rows; those of the tensor library.
    pub fn take_from(&self, residual: &Tensor) -> Result<Tensor> {
        let rows = residual.dim(0)?;
        match self.last() {
            Some(last) if last >= rows => Err(Error::size("rows of a residual", format!("more than {last}"), rows)),
            Some(last) if last + 1 == self.len() => Ok(residual.narrow(0, 0, self.len())?),
            // A copy, never a view: a view would keep the whole residual in memory.
            _ => Ok(residual.contiguous()?.index_select(&self.index(residual.device())?, 0)?),
        }
    }

    /// The rows at these indices into the set, which ascend.
    pub(crate) fn subset(&self, indices: &[usize]) -> Self {
        Self::ascending(indices.iter().map(|&index| self.0[index]).collect())
    }

    /// The rows from this position of the prompt on.
    pub(crate) fn starting_at(&self, row: usize) -> Self {
        Self(self.0[self.0.partition_point(|&own| own < row)..].to_vec())
    }

    /// The positions as a tensor, `[rows]`, u32.
    pub(crate) fn index(&self, device: &Device) -> candle_core::Result<Tensor> {
        Tensor::new(self.0.iter().map(|&row| row as u32).collect::<Vec<u32>>(), device)
    }

    /// The index of each of these rows in `other`. The error is the first row that `other` lacks.
    pub(crate) fn positions_in(&self, other: &Self) -> std::result::Result<Vec<usize>, usize> {
        self.iter().map(|row| other.0.binary_search(&row).map_err(|_| row)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_must_ascend() {
        assert_eq!(RowSet::new(vec![0, 2, 5]).unwrap().as_slice(), [0, 2, 5]);
        let error = RowSet::new(vec![0, 2, 2]).unwrap_err().to_string();
        assert_eq!(error, "rows of a prompt: expected ascending positions, each once, got 2 before 2");
        assert!(RowSet::new(vec![3, 1]).is_err());
    }

    #[test]
    fn rows_are_copied_out_of_the_residual_of_a_prompt() {
        let residual = Tensor::new(&[[0f32], [1.0], [2.0], [3.0]], &Device::Cpu).unwrap();
        for rows in [vec![0, 1], vec![1, 2], vec![0, 3], vec![]] {
            let taken = RowSet::new(rows.clone()).unwrap().take_from(&residual).unwrap();
            let taken = taken.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(taken, rows.iter().map(|&row| row as f32).collect::<Vec<_>>());
        }
        let error = RowSet::all(5).take_from(&residual).unwrap_err().to_string();
        assert_eq!(error, "rows of a residual: expected more than 4, got 4");
    }
}
