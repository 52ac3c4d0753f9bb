//! Divergence between rows of logits.
use candle_core::{D, Tensor};
use rayon::prelude::*;

use super::values::with_values;

/// KL(p || q) in nats of each row pair of `[rows, vocabulary]` f32 logits, each normalised over the whole vocabulary. NaN where a row of
/// the pair is not finite.
pub(super) fn rows(p: &Tensor, q: &Tensor) -> candle_core::Result<Vec<f32>> {
    if p.dims() != q.dims() {
        candle_core::bail!("expected logits of one shape, got {:?} and {:?}", p.dims(), q.dims());
    }
    if p.device().is_cpu() && q.device().is_cpu() { by_values(p, q) } else { by_tensors(p, q) }
}

fn by_values(p: &Tensor, q: &Tensor) -> candle_core::Result<Vec<f32>> {
    let vocabulary = p.dim(1)?;
    let pairs =
        |p: &[f32], q: &[f32]| p.par_chunks(vocabulary).zip(q.par_chunks(vocabulary)).map(|(p, q)| one(p, q)).collect();
    with_values(p, |p| with_values(q, |q| pairs(p, q)))?
}

/// For devices other than a CPU; the result is all that leaves the device.
fn by_tensors(p: &Tensor, q: &Tensor) -> candle_core::Result<Vec<f32>> {
    let log_softmax = |logits: &Tensor| {
        let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?)?;
        shifted.broadcast_sub(&shifted.exp()?.sum_keepdim(D::Minus1)?.log()?)
    };
    let (p, q) = (log_softmax(p)?, log_softmax(&q.to_device(p.device())?)?);
    let weight = p.exp()?;
    let gap = (p - q)?;
    // An entry that p excludes adds nothing, even where q excludes it too (0 times infinity). What is NaN stays NaN by its weight.
    let gap = weight.gt(0f32)?.where_cond(&gap, &gap.zeros_like()?)?;
    (weight * gap)?.sum(D::Minus1)?.to_vec1()
}

fn one(p: &[f32], q: &[f32]) -> f32 {
    let ((max_p, sum_p), (max_q, sum_q)) = (log_sum(p), log_sum(q));
    if sum_p.is_nan() || sum_q.is_nan() {
        return f32::NAN;
    }
    let mut sum = 0f64;
    for (&p, &q) in p.iter().zip(q) {
        // The maximum first: beside a large one the sum would be rounded away.
        let log_p = (p - max_p) - sum_p;
        let p = log_p.exp();
        // An entry that p excludes adds nothing, even where q excludes it too (0 times infinity).
        if p > 0.0 {
            sum += f64::from(p) * f64::from(log_p - ((q - max_q) - sum_q));
        }
    }
    sum as f32
}

/// The largest logit, and the logarithm of the sum of exponentials relative to it.
fn log_sum(logits: &[f32]) -> (f32, f32) {
    let max = max(logits);
    (max, logits.iter().map(|&x| super::exp::exp(x - max)).sum::<f32>().ln())
}

/// The largest entry; NaN if any is NaN.
pub(super) fn max(values: &[f32]) -> f32 {
    let mut nan = false;
    let max = values.iter().fold(f32::NEG_INFINITY, |max, &x| {
        nan |= x.is_nan();
        if x > max { x } else { max }
    });
    if nan { f32::NAN } else { max }
}

#[cfg(test)]
mod tests {
    use candle_core::Tensor;

    use super::{by_tensors, by_values, rows};
    use crate::lens::tests::{edge_cases, same};

    #[test]
    fn tensors_and_values_give_the_same_divergences() {
        let logits = edge_cases();
        // Each row beside itself, and beside every other.
        let count = logits.dim(0).unwrap() as u32;
        for shift in 0..count {
            let order: Vec<u32> = (0..count).map(|row| (row + shift) % count).collect();
            let other = logits.index_select(&Tensor::new(order, logits.device()).unwrap(), 0).unwrap();
            same(&by_tensors(&logits, &other).unwrap(), &by_values(&logits, &other).unwrap());
        }
    }

    #[test]
    fn logits_of_other_shapes_are_refused() {
        let logits = edge_cases();
        let fewer = logits.narrow(1, 0, 3).unwrap();
        assert!(rows(&logits, &fewer).unwrap_err().to_string().contains("expected logits of one shape"));
        assert!(rows(&logits, &logits.narrow(0, 0, 2).unwrap()).is_err());
    }
}
