//! Entropy of rows of logits.
use candle_core::{D, Tensor};
use rayon::prelude::*;

use super::values::with_values;
use crate::simd::vectorized;

/// Shannon entropy of each row of logits, in nats. It is NaN where a row is not finite.
///
/// `H = ln S - (sum e^(x-m) (x-m)) / S` with `m` the largest logit and `S = sum e^(x-m)`: exact for one-hot and uniform rows, and
/// finite for logits of any size.
///
/// # Shapes
/// `logits`: `[rows, vocabulary]`, f32; returns one value for each row.
///
/// # Errors
/// Those of the tensor library.
pub(super) fn rows(logits: &Tensor) -> candle_core::Result<Vec<f32>> {
    if logits.device().is_cpu() { by_values(logits) } else { by_tensors(logits) }
}

fn by_values(logits: &Tensor) -> candle_core::Result<Vec<f32>> {
    let vocabulary = logits.dim(1)?;
    let row = |logits: &[f32]| {
        vectorized(
            #[inline(always)]
            || entropy(logits),
        )
    };
    with_values(logits, |flat| flat.par_chunks(vocabulary).map(row).collect())
}

/// [`rows`] for devices other than a CPU: only the entropies are transferred from the device.
fn by_tensors(logits: &Tensor) -> candle_core::Result<Vec<f32>> {
    let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?)?;
    let exp = shifted.exp()?;
    let sum = exp.sum(D::Minus1)?;
    // An entry with probability 0 adds no entropy; 0 * -inf would be NaN.
    let shifted = exp.gt(0f32)?.where_cond(&shifted, &shifted.zeros_like()?)?;
    let weighted = (exp * shifted)?.sum(D::Minus1)?;
    (sum.log()? - (weighted / sum)?)?.to_vec1()
}

#[inline(always)]
fn entropy(logits: &[f32]) -> f32 {
    // The maximum ignores NaN; the sum below is then NaN.
    let max = crate::simd::max(logits);
    if !max.is_finite() {
        return f32::NAN;
    }
    // With independent lanes the loop vectorises, and the sums stay accurate for large vocabularies.
    const LANES: usize = 32;
    let (mut sum, mut weighted) = ([0f32; LANES], [0f32; LANES]);
    let chunks = logits.chunks_exact(LANES);
    let rest = chunks.remainder();
    let mut add = |lane: usize, logit: f32| {
        let shifted = logit - max;
        let exp = super::exp::exp(shifted);
        sum[lane] += exp;
        // An entry with probability 0 adds no entropy; 0 * -inf would be NaN.
        weighted[lane] += if exp > 0.0 { exp * shifted } else { 0.0 };
    };
    for chunk in chunks {
        for (lane, &logit) in chunk.iter().enumerate() {
            add(lane, logit);
        }
    }
    for (lane, &logit) in rest.iter().enumerate() {
        add(lane, logit);
    }
    let (sum, weighted): (f32, f32) = (sum.iter().sum(), weighted.iter().sum());
    sum.ln() - weighted / sum
}

#[cfg(test)]
mod tests {
    use super::{by_tensors, by_values};
    use crate::testing::{assert_same, edge_cases, wide};

    #[test]
    fn tensors_and_values_give_the_same_entropies() {
        for logits in [edge_cases(), wide(3, 5000, 8.0), wide(2, 5000, 1e4), wide(2, 33, 1e38)] {
            assert_same(&by_tensors(&logits).unwrap(), &by_values(&logits).unwrap());
        }
    }
}
