//! What the lenses of two models read at one row, from one computation of their logits.
use candle_core::Tensor;
use rayon::prelude::*;

use super::{entropy, kl, top};

/// What the lenses of two models read at one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowComparison {
    /// Entropy of the first model, in nats.
    pub mine: f32,
    /// Entropy of the second model, in nats.
    pub theirs: f32,
    /// KL(first || second), in nats over the whole vocabulary.
    pub divergence: f32,
    /// Whether the same token is likeliest in both.
    pub agree: bool,
}

/// Compares row pairs of logits.
///
/// # Shapes
/// `mine`, `theirs`: `[rows, vocabulary]`, f32; returns one comparison for each row.
///
/// # Errors
/// If the shapes differ; those of the tensor library.
pub(super) fn rows(mine: &Tensor, theirs: &Tensor) -> candle_core::Result<Vec<RowComparison>> {
    let (first, second) = (entropy::rows(mine)?, entropy::rows(theirs)?);
    let divergence = kl::rows(mine, theirs)?;
    let (a, b) = (top::rows(mine, 1)?, top::rows(theirs, 1)?);
    let rows = first.into_par_iter().zip(second).zip(divergence).zip(a).zip(b);
    Ok(rows
        .map(|((((mine, theirs), divergence), a), b)| RowComparison { mine, theirs, divergence, agree: a == b })
        .collect())
}
