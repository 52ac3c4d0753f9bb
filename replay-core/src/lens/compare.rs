//! Comparison of the logits of two models.
use candle_core::Tensor;
use rayon::prelude::*;

use super::{entropy, kl, top};

/// Comparison of the logit lenses of two models at one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowComparison {
    /// Entropy of the first model, in nats.
    pub first_entropy: f32,
    /// Entropy of the second model, in nats.
    pub second_entropy: f32,
    /// KL(first || second), in nats over the whole vocabulary.
    pub divergence: f32,
    /// Whether both models have the same likeliest token.
    pub agree: bool,
}

/// Compares row pairs of logits.
///
/// # Shapes
/// `first`, `second`: `[rows, vocabulary]`, f32; returns one comparison for each row.
///
/// # Errors
/// If the shapes differ; those of the tensor library.
pub(super) fn rows(first: &Tensor, second: &Tensor) -> candle_core::Result<Vec<RowComparison>> {
    let entropies = entropy::rows(first)?.into_par_iter().zip(entropy::rows(second)?);
    let tokens = top::rows(first, 1)?.into_par_iter().zip(top::rows(second, 1)?);
    let rows = entropies.zip(kl::rows(first, second)?).zip(tokens);
    let comparison = |(((first_entropy, second_entropy), divergence), (a, b))| {
        let agree: bool = Vec::eq(&a, &b);
        RowComparison { first_entropy, second_entropy, divergence, agree }
    };
    Ok(rows.map(comparison).collect())
}
