//! Softmax of attention scores.
use candle_core::{CpuStorage, D, InplaceOp1, InplaceOp2, Layout, Result, Tensor};
use rayon::prelude::*;

use super::slices::width;
use crate::lens::exp;
use crate::simd::{max, sum, vectorized};
use crate::storage::{values, values_mut};

/// The causal mask of attention scores.
#[derive(Debug, Clone, Copy)]
pub(in crate::decoder) struct Causal<'a> {
    /// How many keys each query sees; the last of them is its own position.
    pub(in crate::decoder) visible: &'a [usize],
}

/// `softmax(scale * scores)` over the keys that a query sees, in place; the others get probability 0.
///
/// # Shapes
/// `scores`: `[batch, groups * queries, keys]`, fresh and contiguous; row `r` belongs to query `r % queries`.
pub(in crate::decoder) fn causal_softmax(scores: Tensor, scale: f32, causal: Causal<'_>) -> Result<Tensor> {
    if !scores.device().is_cpu() {
        return by_tensors(&scores, scale, causal);
    }
    scores.inplace_op1(&Softmax { scale, visible: causal.visible })?;
    Ok(scores)
}

/// [`causal_softmax`] for devices other than a CPU.
pub(super) fn by_tensors(scores: &Tensor, scale: f32, causal: Causal<'_>) -> Result<Tensor> {
    let (batch, rows, keys) = scores.dims3()?;
    let queries = causal.visible.len();
    let shape = (batch, rows / queries, queries, keys);
    let seen = |&visible: &usize| (0..keys).map(move |key| u8::from(key < visible));
    let seen: Vec<u8> = causal.visible.iter().flat_map(seen).collect();
    let seen = Tensor::from_vec(seen, (1, 1, queries, keys), scores.device())?.broadcast_as(shape)?;
    let scores = (scores * f64::from(scale))?.reshape(shape)?;
    let hidden = Tensor::full(f32::NEG_INFINITY, shape, scores.device())?;
    let scores = seen.where_cond(&scores, &hidden)?;
    let exp = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?.exp()?;
    let probabilities = exp.broadcast_div(&exp.sum_keepdim(D::Minus1)?)?;
    // A key that a query does not see has probability 0 also where the row is not finite.
    seen.where_cond(&probabilities, &probabilities.zeros_like()?)?.reshape((batch, rows, keys))
}

/// Gradient through the softmax: `scale * p * (g - sum(g * p))`, in place of `gradient`.
///
/// # Shapes
/// Both `[batch, rows, keys]`, contiguous, `gradient` fresh.
pub(in crate::decoder) fn softmax_backward(gradient: Tensor, probabilities: &Tensor, scale: f32) -> Result<Tensor> {
    if !gradient.device().is_cpu() {
        return backward_by_tensors(&gradient, probabilities, scale);
    }
    gradient.inplace_op2(probabilities, &SoftmaxBackward { scale })?;
    Ok(gradient)
}

/// [`softmax_backward`] for devices other than a CPU.
pub(super) fn backward_by_tensors(gradient: &Tensor, probabilities: &Tensor, scale: f32) -> Result<Tensor> {
    let along = (gradient * probabilities)?.sum_keepdim(D::Minus1)?;
    (gradient.broadcast_sub(&along)? * probabilities)? * f64::from(scale)
}

struct Softmax<'a> {
    scale: f32,
    visible: &'a [usize],
}

impl InplaceOp1 for Softmax<'_> {
    fn name(&self) -> &'static str {
        "causal softmax"
    }

    fn cpu_fwd(&self, scores: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let (keys, queries, scale) = (width(layout), self.visible.len(), self.scale);
        values_mut(scores, layout)?.par_chunks_mut(keys).enumerate().for_each(|(row, scores)| {
            let (seen, hidden) = scores.split_at_mut(self.visible[row % queries].min(keys));
            hidden.fill(0.0);
            vectorized(
                #[inline(always)]
                || {
                    let top = max(seen) * scale;
                    seen.iter_mut().for_each(|x| *x = exp(*x * scale - top));
                    let inverse = 1.0 / sum(seen, seen, |x, _| x);
                    seen.iter_mut().for_each(|x| *x *= inverse);
                },
            );
        });
        Ok(())
    }
}

struct SoftmaxBackward {
    scale: f32,
}

impl InplaceOp2 for SoftmaxBackward {
    fn name(&self) -> &'static str {
        "softmax backward"
    }

    fn cpu_fwd(&self, gradient: &mut CpuStorage, l1: &Layout, p: &CpuStorage, l2: &Layout) -> Result<()> {
        let (keys, scale) = (width(l1), self.scale);
        let rows = values_mut(gradient, l1)?.par_chunks_mut(keys).zip(values(p, l2)?.par_chunks(keys));
        rows.for_each(|(gradient, p)| {
            vectorized(
                #[inline(always)]
                || {
                    let along = sum(gradient, p, |g, p| g * p);
                    gradient.iter_mut().zip(p).for_each(|(g, p)| *g = (*g - along) * p * scale);
                },
            );
        });
        Ok(())
    }
}
