//! Divergence between rows of logits.
use candle_core::{D, Tensor};
use rayon::prelude::*;

use super::values::with_values;

/// KL(p || q) of each row pair of logits, in nats, each normalised over the whole vocabulary. It is NaN where a row of the pair is not
/// finite.
///
/// # Shapes
/// `p`, `q`: `[rows, vocabulary]`, f32; returns one value for each row.
///
/// # Errors
/// If the shapes differ; those of the tensor library.
pub(super) fn rows(p: &Tensor, q: &Tensor) -> candle_core::Result<Vec<f32>> {
    if p.dims() != q.dims() {
        candle_core::bail!("expected logits of one shape, got {:?} and {:?}", p.dims(), q.dims());
    }
    if p.device().is_cpu() && q.device().is_cpu() { by_values(p, q) } else { by_tensors(p, q) }
}

fn by_values(p: &Tensor, q: &Tensor) -> candle_core::Result<Vec<f32>> {
    let vocabulary = p.dim(1)?;
    let pairs = |p: &[f32], q: &[f32]| {
        p.par_chunks(vocabulary).zip(q.par_chunks(vocabulary)).map(|(p, q)| divergence(p, q)).collect()
    };
    with_values(p, |p| with_values(q, |q| pairs(p, q)))?
}

/// [`rows`] for devices other than a CPU: only the divergences are transferred from the device.
fn by_tensors(p: &Tensor, q: &Tensor) -> candle_core::Result<Vec<f32>> {
    let log_softmax = |logits: &Tensor| {
        let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?)?;
        shifted.broadcast_sub(&shifted.exp()?.sum_keepdim(D::Minus1)?.log()?)
    };
    let (p, q) = (log_softmax(p)?, log_softmax(&q.to_device(p.device())?)?);
    let weight = p.exp()?;
    let difference = (p - q)?;
    // An entry with p = 0 adds nothing, even if q = 0 too (0 times infinity). NaN stays NaN through its weight.
    let difference = weight.gt(0f32)?.where_cond(&difference, &difference.zeros_like()?)?;
    (weight * difference)?.sum(D::Minus1)?.to_vec1()
}

fn divergence(p: &[f32], q: &[f32]) -> f32 {
    let ((max_p, sum_p), (max_q, sum_q)) = (log_sum(p), log_sum(q));
    if sum_p.is_nan() || sum_q.is_nan() {
        return f32::NAN;
    }
    let mut sum = 0f64;
    for (&p, &q) in p.iter().zip(q) {
        // The maximum is subtracted first: added to a large maximum, the sum would be rounded away.
        let log_p = (p - max_p) - sum_p;
        let p = log_p.exp();
        // An entry with p = 0 adds nothing, even if q = 0 too (0 times infinity).
        if p > 0.0 {
            sum += f64::from(p) * f64::from(log_p - ((q - max_q) - sum_q));
        }
    }
    sum as f32
}

/// The largest logit, and the logarithm of the sum of exponentials relative to it, accumulated in f64. The sum is NaN if a logit is.
fn log_sum(logits: &[f32]) -> (f32, f32) {
    let max = crate::simd::max(logits);
    (max, logits.iter().map(|&x| f64::from(super::exp::exp(x - max))).sum::<f64>().ln() as f32)
}

#[cfg(test)]
mod tests {
    use candle_core::Tensor;

    use super::{by_tensors, by_values, rows};
    use crate::testing::{assert_same, edge_cases, wide};

    #[test]
    fn tensors_and_values_give_the_same_divergences() {
        // Each row beside itself, and beside every other.
        for logits in [edge_cases(), wide(4, 5000, 8.0), wide(3, 5000, 100.0)] {
            let count = logits.dim(0).unwrap() as u32;
            for shift in 0..count {
                let order: Vec<u32> = (0..count).map(|row| (row + shift) % count).collect();
                let other = logits.index_select(&Tensor::new(order, logits.device()).unwrap(), 0).unwrap();
                assert_same(&by_tensors(&logits, &other).unwrap(), &by_values(&logits, &other).unwrap());
            }
        }
    }

    #[test]
    fn the_divergence_of_a_large_vocabulary_is_exact() {
        let (p, q) = (wide(1, 150_000, 3.0), wide(2, 150_000, 3.0).narrow(0, 1, 1).unwrap());
        let values = |logits: &Tensor| logits.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let log_softmax = |logits: &Tensor| {
            let logits: Vec<f64> = values(logits).into_iter().map(f64::from).collect();
            let sum = logits.iter().map(|x| x.exp()).sum::<f64>().ln();
            logits.into_iter().map(move |x| x - sum).collect::<Vec<f64>>()
        };
        let exact: f64 = log_softmax(&p).iter().zip(log_softmax(&q)).map(|(p, q)| p.exp() * (p - q)).sum();
        let got = f64::from(by_values(&p, &q).unwrap()[0]);
        assert!((got - exact).abs() < 1e-6 * exact, "{got} {exact}");
    }

    #[test]
    fn logits_of_other_shapes_are_refused() {
        let logits = edge_cases();
        let fewer = logits.narrow(1, 0, 3).unwrap();
        assert!(rows(&logits, &fewer).unwrap_err().to_string().contains("expected logits of one shape"));
        assert!(rows(&logits, &logits.narrow(0, 0, 2).unwrap()).is_err());
    }
}
