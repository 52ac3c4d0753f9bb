//! The likeliest vocabulary entries of rows of logits.
use candle_core::Tensor;
use rayon::prelude::*;

use super::values::with_values;

/// Indices of the `count` largest logits of each row (all, if there are fewer), largest first. Of equal logits the lower index comes first.
///
/// # Shapes
/// `logits`: `[rows, vocabulary]`, f32; returns one list for each row.
///
/// # Errors
/// Those of the tensor library.
pub(super) fn rows(logits: &Tensor, count: usize) -> candle_core::Result<Vec<Vec<u32>>> {
    let vocabulary = logits.dim(1)?;
    with_values(logits, |flat| flat.par_chunks(vocabulary).map(|logits| largest(logits, count)).collect())
}

fn largest(logits: &[f32], count: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..logits.len() as u32).collect();
    let by_logit = |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
    if count < order.len() {
        order.select_nth_unstable_by(count, by_logit);
        order.truncate(count);
    }
    order.sort_unstable_by(by_logit);
    order
}

#[cfg(test)]
mod tests {
    use super::largest;

    #[test]
    fn the_largest_come_first_and_ties_keep_their_order() {
        assert_eq!(largest(&[0.0, 3.0, -1.0, 3.0, 2.0], 3), [1, 3, 4]);
        assert_eq!(largest(&[1.0, 1.0, 1.0], 2), [0, 1]);
        assert_eq!(largest(&[1.0, 2.0], 50), [1, 0]);
        assert_eq!(largest(&[f32::NEG_INFINITY, 1e4, -1e4, f32::INFINITY], 4), [3, 1, 2, 0]);
    }
}
