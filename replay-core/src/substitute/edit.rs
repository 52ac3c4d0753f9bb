//! The edit of one residual.
use candle_core::{DType, Tensor};

use crate::error::{Error, Result};
use crate::rows::RowSet;

/// How an edit changes its rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// The values replace the prefill's rows, or are mixed with them.
    Replace {
        /// The share of the values in the result; 1 replaces the row.
        blend: f64,
    },
    /// The values are added to the prefill's rows.
    Add,
}

/// The rows of one residual that are edited.
#[derive(Debug, Clone)]
pub struct LayerEdit {
    rows: RowSet,
    values: Tensor,
    change: Change,
}

impl LayerEdit {
    /// An edit of these rows of a prompt.
    ///
    /// # Shapes
    /// `values`: `[rows, hidden]`.
    ///
    /// # Errors
    /// [`Error::Size`] if there is not one row of values for each row.
    pub fn new(rows: RowSet, values: Tensor, change: Change) -> Result<Self> {
        match values.dims() {
            [count, _] if *count == rows.len() => Ok(Self { rows, values, change }),
            other => Err(Error::size("values of an edit", format!("[{}, hidden]", rows.len()), format!("{other:?}"))),
        }
    }

    /// The rows, by their position in the prompt.
    pub fn rows(&self) -> &RowSet {
        &self.rows
    }

    /// The values that replace the rows or are added to them, `[rows, hidden]`.
    pub fn values(&self) -> &Tensor {
        &self.values
    }

    /// How the rows are changed.
    pub fn change(&self) -> Change {
        self.change
    }

    /// The rows after the edit.
    ///
    /// # Shapes
    /// `own`: `[rows, hidden]`, the prefill's rows; returns the same.
    ///
    /// # Errors
    /// [`Error::Size`] if `own` has another shape; those of the tensor library.
    pub fn changed(&self, own: &Tensor) -> Result<Tensor> {
        if own.dims() != self.values.dims() {
            return Err(Error::size("rows to edit", format!("{:?}", self.values.dims()), format!("{:?}", own.dims())));
        }
        let values = self.values.to_device(own.device())?;
        Ok(match self.change {
            Change::Replace { blend: 1.0 } => values.to_dtype(own.dtype())?,
            // Computed as a step from the row itself, so that equal rows stay equal bit for bit.
            Change::Replace { blend } => (own + ((values.to_dtype(own.dtype())? - own)? * blend)?)?,
            // Added in the delta's precision: converted to half precision first, a small delta would be rounded to zero.
            Change::Add => (own.to_dtype(values.dtype())? + values)?.to_dtype(own.dtype())?,
        })
    }

    /// The edit of the rows from `row` on; `None` if there are none.
    pub(super) fn starting_at(&self, row: usize) -> Result<Option<Self>> {
        let rows = self.rows.starting_at(row);
        if rows.is_empty() {
            return Ok(None);
        }
        let values = self.values.narrow(0, self.rows.len() - rows.len(), rows.len())?;
        Ok(Some(Self { rows, values, change: self.change }))
    }

    /// Applies the edit to a residual whose first row is row `first` of the prompt.
    pub(super) fn apply(&self, first: usize, hidden: &Tensor) -> Result<Tensor> {
        let (rows, width) = hidden.dims2()?;
        let last = self.rows.last().unwrap_or(first);
        if last >= first + rows || self.values.dim(1)? != width {
            return Err(Error::size(
                "residual to edit",
                format!("more than {} rows of width {}", last - first, self.values.dim(1)?),
                format!("{rows} rows of width {width}"),
            ));
        }
        let index: Vec<u32> = self.rows.iter().map(|row| (row - first) as u32).collect();
        let index = Tensor::new(index, hidden.device())?;
        let values = self.changed(&hidden.index_select(&index, 0)?)?;
        let index = index.unsqueeze(1)?.broadcast_as(values.shape())?.contiguous()?;
        Ok(hidden.contiguous()?.scatter(&index, &values.contiguous()?, 0)?)
    }

    /// The first row that the two edits change differently, if there is one; see
    /// [`Edits::first_difference`](super::Edits::first_difference).
    pub(super) fn first_difference(&self, other: &Self) -> Option<usize> {
        let (own, others) = (self.rows.as_slice(), other.rows.as_slice());
        if self.change != other.change {
            return self.rows.first().into_iter().chain(other.rows.first()).min();
        }
        let equal_values = match self.change {
            Change::Replace { .. } => usize::MAX,
            Change::Add => equal_rows(&self.values, &other.values).unwrap_or(0),
        };
        let common = own.len().min(others.len()).min(equal_values);
        let at = (0..common).find(|&index| own[index] != others[index]).unwrap_or(common);
        own.get(at).into_iter().chain(others.get(at)).copied().min()
    }
}

/// How many leading rows of two matrices are equal bit for bit.
fn equal_rows(a: &Tensor, b: &Tensor) -> candle_core::Result<usize> {
    if a.id() == b.id() {
        return a.dim(0);
    }
    let bits = |t: &Tensor| -> candle_core::Result<Vec<Vec<u32>>> {
        let rows = t.to_dtype(DType::F32)?.to_vec2::<f32>()?;
        Ok(rows.into_iter().map(|row| row.into_iter().map(f32::to_bits).collect()).collect())
    };
    Ok(bits(a)?.iter().zip(&bits(b)?).take_while(|(a, b)| a == b).count())
}
