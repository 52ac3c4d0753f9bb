//! Everything that two models' lenses say of one row, from one reading of their logits.
use candle_core::Tensor;
use rayon::prelude::*;

use super::{entropy, kl, top};

/// What the lenses of two models say of one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowComparison {
    /// Entropy of the first model, in nats.
    pub mine: f32,
    /// Entropy of the second.
    pub theirs: f32,
    /// KL(first || second), in nats over the whole vocabulary.
    pub divergence: f32,
    /// Whether both find the same token likeliest.
    pub agree: bool,
}

/// # Shapes
/// Both `[rows, vocabulary]`, f32.
pub(super) fn rows(mine: &Tensor, theirs: &Tensor) -> candle_core::Result<Vec<RowComparison>> {
    let (first, second) = (entropy::rows(mine)?, entropy::rows(theirs)?);
    let divergence = kl::rows(mine, theirs)?;
    let (a, b) = (top::rows(mine, 1)?, top::rows(theirs, 1)?);
    let rows = first.into_par_iter().zip(second).zip(divergence).zip(a).zip(b);
    Ok(rows
        .map(|((((mine, theirs), divergence), a), b)| RowComparison { mine, theirs, divergence, agree: a == b })
        .collect())
}
