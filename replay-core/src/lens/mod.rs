//! The logit lens: what a model would predict from a residual stream half-way up.
//!
//! `softmax(head(norm(residual)))` with the model's own final norm and head (paper, section 3; published code, the entropy pass of the
//! base model). The logits of all rows at once would be the largest tensor of a request, so rows go through in blocks.
mod compare;
mod entropy;
mod exp;
pub(crate) use exp::exp;
mod kl;
mod soft_cap;
mod top;
mod values;

use candle_core::{DType, Tensor};

pub use compare::RowComparison;
pub use soft_cap::soft_cap;

use crate::{Error, Result};

/// One model's final norm and head (with whatever scaling or soft cap its architecture puts there), in the engine's own precision.
pub trait LogitLens: Send + Sync {
    /// Rows of the head.
    fn vocabulary(&self) -> usize;

    /// # Shapes
    /// `residual`: `[rows, hidden]` of any decoder layer; returns `[rows, vocabulary]`, not normalised.
    ///
    /// # Errors
    /// Those of the engine's own layers.
    fn logits(&self, residual: &Tensor) -> candle_core::Result<Tensor>;
}

/// A lens whose logits never take more than `memory` bytes at a time (or one row, if that is more).
#[derive(Clone, Copy)]
pub struct StreamedLens<'a> {
    lens: &'a dyn LogitLens,
    memory: u64,
}

impl std::fmt::Debug for StreamedLens<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamedLens").field("memory", &self.memory).finish_non_exhaustive()
    }
}

impl<'a> StreamedLens<'a> {
    /// A lens that streams in blocks of `memory` bytes.
    pub fn new(lens: &'a dyn LogitLens, memory: u64) -> Self {
        Self { lens, memory }
    }

    /// Rows per block. On a CPU logits may exist twice, as the head gives them and in f32 or capped; elsewhere each step of the
    /// reduction is a tensor of its own.
    pub fn block_rows(&self, on_cpu: bool) -> usize {
        let copies = if on_cpu { 2 } else { 5 };
        let row = copies * size_of::<f32>() as u64 * self.lens.vocabulary().max(1) as u64;
        usize::try_from((self.memory / row).max(1)).unwrap_or(usize::MAX)
    }

    /// Shannon entropy of the given rows, in nats over the whole vocabulary, accumulated in f32. A row that is not finite is NaN.
    ///
    /// # Shapes
    /// `residual`: `[all rows, hidden]`; `rows`: positions in it; returns one value for each.
    ///
    /// # Errors
    /// Those of the engine's own layers.
    pub fn entropy(&self, residual: &Tensor, rows: &[usize]) -> Result<Vec<f32>> {
        let mut out = Vec::with_capacity(rows.len());
        for block in rows.chunks(self.block_rows(residual.device().is_cpu())) {
            out.extend(entropy::rows(&self.block(residual, block)?)?);
        }
        Ok(out)
    }

    /// KL(self || other) of row pairs, in nats over the whole vocabulary.
    ///
    /// # Shapes
    /// `mine`, `theirs`: `[rows, hidden]`; returns one value for each row.
    ///
    /// # Errors
    /// [`Error::Size`] if the residuals have unequal numbers of rows or the lenses unequal vocabularies; those of the engine's own layers.
    pub fn divergence(&self, mine: &Tensor, other: &StreamedLens<'_>, theirs: &Tensor) -> Result<Vec<f32>> {
        let rows = self.row_pairs(mine, other, theirs)?;
        let mut out = Vec::with_capacity(rows.len());
        for block in rows.chunks((self.block_rows(mine.device().is_cpu()) / 2).max(1)) {
            out.extend(kl::rows(&self.block(mine, block)?, &other.block(theirs, block)?)?);
        }
        Ok(out)
    }

    /// Entropies, divergence KL(self || other) and agreement of row pairs.
    ///
    /// # Shapes
    /// `mine`, `theirs`: `[rows, hidden]`; returns one value for each row.
    ///
    /// # Errors
    /// [`Error::Size`] if the residuals have unequal numbers of rows or the lenses unequal vocabularies; those of the engine's own layers.
    pub fn compare(&self, mine: &Tensor, other: &StreamedLens<'_>, theirs: &Tensor) -> Result<Vec<RowComparison>> {
        let rows = self.row_pairs(mine, other, theirs)?;
        let mut out = Vec::with_capacity(rows.len());
        for block in rows.chunks((self.block_rows(mine.device().is_cpu()) / 2).max(1)) {
            out.extend(compare::rows(&self.block(mine, block)?, &other.block(theirs, block)?)?);
        }
        Ok(out)
    }

    /// The `count` likeliest vocabulary entries of each row, likeliest first.
    ///
    /// # Shapes
    /// `residual`: `[rows, hidden]`; returns `rows` lists.
    ///
    /// # Errors
    /// Those of the engine's own layers.
    pub fn likeliest(&self, residual: &Tensor, count: usize) -> Result<Vec<Vec<u32>>> {
        let rows: Vec<usize> = (0..residual.dim(0)?).collect();
        let mut out = Vec::with_capacity(rows.len());
        for block in rows.chunks(self.block_rows(residual.device().is_cpu())) {
            out.extend(top::rows(&self.block(residual, block)?, count)?);
        }
        Ok(out)
    }

    /// The rows of two residuals, which are compared one by one, entry of the vocabulary by entry.
    fn row_pairs(&self, mine: &Tensor, other: &StreamedLens<'_>, theirs: &Tensor) -> Result<Vec<usize>> {
        let (rows, others) = (mine.dim(0)?, theirs.dim(0)?);
        if rows != others {
            return Err(Error::size("rows of the second residual", rows, others));
        }
        let (vocabulary, others) = (self.lens.vocabulary(), other.lens.vocabulary());
        if vocabulary != others {
            return Err(Error::size("vocabulary of the second lens", vocabulary, others));
        }
        Ok((0..rows).collect())
    }

    /// `[block, vocabulary]`, f32.
    fn block(&self, residual: &Tensor, rows: &[usize]) -> Result<Tensor> {
        Ok(self.lens.logits(&select_rows(residual, rows)?)?.to_dtype(DType::F32)?)
    }
}

/// Rows of a `[rows, hidden]` tensor, in the order given; a run of neighbours is a view, not a copy.
pub(crate) fn select_rows(tensor: &Tensor, rows: &[usize]) -> candle_core::Result<Tensor> {
    let count = tensor.dim(0)?;
    if let Some(row) = rows.iter().find(|row| **row >= count) {
        candle_core::bail!("expected rows below {count}, got {row}");
    }
    match rows {
        [first, _, ..] if rows.windows(2).all(|pair| pair[0] + 1 == pair[1]) => tensor.narrow(0, *first, rows.len()),
        _ => {
            let rows: Vec<u32> = rows.iter().map(|&row| row as u32).collect();
            tensor.index_select(&Tensor::new(rows, tensor.device())?, 0)
        }
    }
}

#[cfg(test)]
mod tests;
