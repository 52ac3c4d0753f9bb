//! A logit lens that computes logits in blocks of rows.
use candle_core::{DType, Tensor};

use super::{LensRows, LogitLens, RowComparison, compare, entropy, kl, top};
use crate::{Activations, Error, Result, yield_now};

/// A logit lens that holds at most `memory` bytes of logits at a time (or one row, if that is more). Its futures yield after each block.
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

/// Entropies of some rows of some residuals, for backends without kernels of their own.
///
/// # Shapes
/// One list for each entry of `wanted`, with the entropy in nats of each of its rows.
///
/// # Errors
/// [`Error::NotCaptured`] or [`Error::RowNotCaptured`] if a residual or row was not captured; those of the engine's own layers.
pub async fn entropies(
    lens: &dyn LogitLens,
    memory: u64,
    activations: &Activations,
    wanted: &[LensRows],
) -> Result<Vec<Vec<f32>>> {
    let lens = StreamedLens::new(lens, memory);
    let mut entropies = Vec::with_capacity(wanted.len());
    for LensRows { residual, rows } in wanted {
        entropies.push(lens.entropy(&activations.select(*residual, rows)?).await?);
    }
    Ok(entropies)
}

impl<'a> StreamedLens<'a> {
    /// A lens that streams in blocks of `memory` bytes.
    pub fn new(lens: &'a dyn LogitLens, memory: u64) -> Self {
        Self { lens, memory }
    }

    /// Rows per block. On a CPU logits may be held twice, in the head's precision and in f32 or capped; on other devices each step of the
    /// reduction allocates a tensor.
    pub fn block_rows(&self, on_cpu: bool) -> usize {
        let copies = if on_cpu { 2 } else { 5 };
        let row = copies * size_of::<f32>() as u64 * self.lens.vocabulary().max(1) as u64;
        usize::try_from((self.memory / row).max(1)).unwrap_or(usize::MAX)
    }

    /// Shannon entropy of each row, in nats over the whole vocabulary, accumulated in f32. It is NaN where a row is not finite.
    ///
    /// # Shapes
    /// `residual`: `[rows, hidden]`; returns one value for each row.
    ///
    /// # Errors
    /// Those of the engine's own layers.
    pub async fn entropy(&self, residual: &Tensor) -> Result<Vec<f32>> {
        let mut entropies = Vec::with_capacity(residual.dim(0)?);
        for block in blocks(residual, self.block_rows(residual.device().is_cpu()))? {
            entropies.extend(entropy::rows(&self.logits(residual, block)?)?);
            yield_now().await;
        }
        Ok(entropies)
    }

    /// KL(self || other) of row pairs, in nats over the whole vocabulary. It is NaN where a row of the pair is not finite.
    ///
    /// # Shapes
    /// `residual`, `other_residual`: `[rows, hidden]`; returns one value for each row.
    ///
    /// # Errors
    /// [`Error::Size`] if the residuals have unequal numbers of rows or the lenses unequal vocabularies; those of the engine's own layers.
    pub async fn divergence(
        &self,
        residual: &Tensor,
        other: &StreamedLens<'_>,
        other_residual: &Tensor,
    ) -> Result<Vec<f32>> {
        let mut divergences = Vec::with_capacity(residual.dim(0)?);
        for block in self.pair_blocks(residual, other, other_residual)? {
            divergences.extend(kl::rows(&self.logits(residual, block)?, &other.logits(other_residual, block)?)?);
            yield_now().await;
        }
        Ok(divergences)
    }

    /// Entropies, divergence KL(self || other) and agreement of row pairs.
    ///
    /// # Shapes
    /// `residual`, `other_residual`: `[rows, hidden]`; returns one value for each row.
    ///
    /// # Errors
    /// [`Error::Size`] if the residuals have unequal numbers of rows or the lenses unequal vocabularies; those of the engine's own layers.
    pub async fn compare(
        &self,
        residual: &Tensor,
        other: &StreamedLens<'_>,
        other_residual: &Tensor,
    ) -> Result<Vec<RowComparison>> {
        let mut comparisons = Vec::with_capacity(residual.dim(0)?);
        for block in self.pair_blocks(residual, other, other_residual)? {
            comparisons.extend(compare::rows(&self.logits(residual, block)?, &other.logits(other_residual, block)?)?);
            yield_now().await;
        }
        Ok(comparisons)
    }

    /// The `count` likeliest vocabulary entries of each row, likeliest first.
    ///
    /// # Shapes
    /// `residual`: `[rows, hidden]`; returns `rows` lists of `count` entries (all, if there are fewer).
    ///
    /// # Errors
    /// Those of the engine's own layers.
    pub async fn likeliest(&self, residual: &Tensor, count: usize) -> Result<Vec<Vec<u32>>> {
        let mut likeliest = Vec::with_capacity(residual.dim(0)?);
        for block in blocks(residual, self.block_rows(residual.device().is_cpu()))? {
            likeliest.extend(top::rows(&self.logits(residual, block)?, count)?);
            yield_now().await;
        }
        Ok(likeliest)
    }

    /// Blocks of the row pairs of two residuals, after checking that rows and vocabularies correspond.
    fn pair_blocks(&self, residual: &Tensor, other: &StreamedLens<'_>, other_residual: &Tensor) -> Result<Vec<Block>> {
        let (rows, others) = (residual.dim(0)?, other_residual.dim(0)?);
        if rows != others {
            return Err(Error::size("rows of the second residual", rows, others));
        }
        let (vocabulary, others) = (self.lens.vocabulary(), other.lens.vocabulary());
        if vocabulary != others {
            return Err(Error::size("vocabulary of the second lens", vocabulary, others));
        }
        blocks(residual, (self.block_rows(residual.device().is_cpu()) / 2).max(1))
    }

    /// The logits of a block, `[block, vocabulary]`, f32.
    fn logits(&self, residual: &Tensor, (first, count): Block) -> Result<Tensor> {
        let logits = self.lens.logits(&residual.narrow(0, first, count)?)?.to_dtype(DType::F32)?;
        match (logits.dims(), self.lens.vocabulary()) {
            ([rows, width], vocabulary) if (*rows, *width) == (count, vocabulary) => Ok(logits),
            (other, vocabulary) => {
                Err(Error::size("logits of a lens", format!("[{count}, {vocabulary}]"), format!("{other:?}")))
            }
        }
    }
}

/// The first row of a block, and how many rows it has.
type Block = (usize, usize);

fn blocks(residual: &Tensor, step: usize) -> Result<Vec<Block>> {
    let rows = residual.dim(0)?;
    Ok((0..rows).step_by(step).map(|first| (first, step.min(rows - first))).collect())
}
