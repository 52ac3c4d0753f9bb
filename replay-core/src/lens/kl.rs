//! Divergence between rows of logits.
use candle_core::{D, Tensor};
use rayon::prelude::*;

use super::values::with_values;

/// KL(p || q) in nats of each row pair of `[rows, vocabulary]` f32 logits, each normalised over the whole vocabulary.
pub(super) fn rows(p: &Tensor, q: &Tensor) -> candle_core::Result<Vec<f32>> {
    if p.device().is_cpu() && q.device().is_cpu() {
        let vocabulary = p.dim(1)?;
        let pairs = |p: &[f32], q: &[f32]| {
            p.par_chunks(vocabulary).zip(q.par_chunks(vocabulary)).map(|(p, q)| one(p, q)).collect()
        };
        return with_values(p, |p| with_values(q, |q| pairs(p, q)))?;
    }
    let log_softmax = |logits: &Tensor| {
        let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?)?;
        shifted.broadcast_sub(&shifted.exp()?.sum_keepdim(D::Minus1)?.log()?)
    };
    let (p, q) = (log_softmax(p)?, log_softmax(&q.to_device(p.device())?)?);
    (p.exp()? * (p - q)?)?.sum(D::Minus1)?.to_vec1()
}

fn one(p: &[f32], q: &[f32]) -> f32 {
    let (log_p, log_q) = (log_normaliser(p), log_normaliser(q));
    let mut sum = 0f64;
    for (&p, &q) in p.iter().zip(q) {
        let log_p = p - log_p;
        let p = log_p.exp();
        // An entry that p excludes adds nothing, even where q excludes it too (0 times infinity).
        if p > 0.0 {
            sum += f64::from(p) * f64::from(log_p - (q - log_q));
        }
    }
    sum as f32
}

fn log_normaliser(logits: &[f32]) -> f32 {
    let max = max(logits);
    max + logits.iter().map(|&x| super::exp::exp(x - max)).sum::<f32>().ln()
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
