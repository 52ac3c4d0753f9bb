//! In-place kernels for the elementwise parts. On a CPU one pass over memory on all cores; elsewhere tensor operations.
use candle_core::{CpuStorage, D, InplaceOp1, InplaceOp2, InplaceOp3, Layout, Result, Tensor, bail};
use rayon::prelude::*;

use crate::lens::exp;

/// What each row of attention scores may look at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Causal<'a> {
    /// Keys visible to each query row (a row's own position is its last visible key).
    pub(super) visible: &'a [usize],
}

/// `softmax(scale * scores)` over the visible keys, in place; the others get probability 0.
///
/// # Shapes
/// `scores`: `[batch, groups * queries, keys]`, fresh and contiguous; row `r` belongs to query `r % queries`.
pub(super) fn causal_softmax(scores: Tensor, scale: f32, causal: Causal<'_>) -> Result<Tensor> {
    if scores.device().is_cpu() {
        scores.inplace_op1(&Softmax { scale, visible: causal.visible })?;
        return Ok(scores);
    }
    let (batch, rows, keys) = scores.dims3()?;
    let queries = causal.visible.len();
    let hidden = |&visible: &usize| (0..keys).map(move |key| if key < visible { 0f32 } else { f32::NEG_INFINITY });
    let mask: Vec<f32> = causal.visible.iter().flat_map(hidden).collect();
    let mask = Tensor::from_vec(mask, (queries, keys), scores.device())?;
    let scores = (scores * f64::from(scale))?.reshape((batch, rows / queries, queries, keys))?.broadcast_add(&mask)?;
    let exp = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?.exp()?;
    exp.broadcast_div(&exp.sum_keepdim(D::Minus1)?)?.reshape((batch, rows, keys))
}

/// Gradient through the softmax: `scale * p * (g - sum(g * p))`, in place of `gradient`.
///
/// # Shapes
/// Both `[batch, rows, keys]`, contiguous, `gradient` fresh.
pub(super) fn softmax_backward(gradient: Tensor, probabilities: &Tensor, scale: f32) -> Result<Tensor> {
    if gradient.device().is_cpu() {
        gradient.inplace_op2(probabilities, &SoftmaxBackward { scale })?;
        return Ok(gradient);
    }
    let along = (&gradient * probabilities)?.sum_keepdim(D::Minus1)?;
    (gradient.broadcast_sub(&along)? * probabilities)? * f64::from(scale)
}

/// `silu(gate) * up`.
///
/// # Shapes
/// Both `[rows, width]`, contiguous; returns the same.
pub(super) fn gated(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    if gate.device().is_cpu() {
        let out = gate.zeros_like()?;
        out.inplace_op3(gate, up, &Gated)?;
        return Ok(out);
    }
    gate.silu()? * up
}

/// Gradients of [`gated`] with respect to gate and up.
pub(super) fn gated_backward(gate: &Tensor, up: &Tensor, gradient: &Tensor) -> Result<(Tensor, Tensor)> {
    if gate.device().is_cpu() {
        let (to_gate, to_up) = (gradient.copy()?, gradient.copy()?);
        to_gate.inplace_op3(gate, up, &GatedBackward)?;
        to_up.inplace_op2(gate, &TimesSilu)?;
        return Ok((to_gate, to_up));
    }
    let sigmoid = (gate.neg()?.exp()? + 1.0)?.recip()?;
    let silu = (gate * &sigmoid)?;
    let slope = (&sigmoid + (&silu * (1.0 - &sigmoid)?)?)?;
    Ok((((gradient * up)? * slope)?, (gradient * silu)?))
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
        let keys = *layout.dims().last().unwrap_or(&1);
        let queries = self.visible.len();
        values_mut(scores, layout)?.par_chunks_mut(keys).enumerate().for_each(|(row, scores)| {
            let (seen, hidden) = scores.split_at_mut(self.visible[row % queries].min(keys));
            let max = seen.iter().copied().fold(f32::NEG_INFINITY, f32::max) * self.scale;
            let mut sum = 0f32;
            for x in seen.iter_mut() {
                *x = exp(*x * self.scale - max);
                sum += *x;
            }
            let inverse = 1.0 / sum;
            seen.iter_mut().for_each(|x| *x *= inverse);
            hidden.fill(0.0);
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
        let keys = *l1.dims().last().unwrap_or(&1);
        let rows = values_mut(gradient, l1)?.par_chunks_mut(keys).zip(values(p, l2)?.par_chunks(keys));
        rows.for_each(|(gradient, p)| {
            let along: f32 = gradient.iter().zip(p).map(|(g, p)| g * p).sum();
            gradient.iter_mut().zip(p).for_each(|(g, p)| *g = (*g - along) * p * self.scale);
        });
        Ok(())
    }
}

struct Gated;

impl InplaceOp3 for Gated {
    fn name(&self) -> &'static str {
        "gated silu"
    }

    fn cpu_fwd(
        &self,
        out: &mut CpuStorage,
        l1: &Layout,
        gate: &CpuStorage,
        l2: &Layout,
        up: &CpuStorage,
        l3: &Layout,
    ) -> Result<()> {
        let rest = values(gate, l2)?.par_chunks(CHUNK).zip(values(up, l3)?.par_chunks(CHUNK));
        values_mut(out, l1)?.par_chunks_mut(CHUNK).zip(rest).for_each(|(out, (gate, up))| {
            for ((out, &gate), &up) in out.iter_mut().zip(gate).zip(up) {
                *out = gate * sigmoid(gate) * up;
            }
        });
        Ok(())
    }
}

struct GatedBackward;

impl InplaceOp3 for GatedBackward {
    fn name(&self) -> &'static str {
        "gated silu backward"
    }

    fn cpu_fwd(
        &self,
        gradient: &mut CpuStorage,
        l1: &Layout,
        gate: &CpuStorage,
        l2: &Layout,
        up: &CpuStorage,
        l3: &Layout,
    ) -> Result<()> {
        let rest = values(gate, l2)?.par_chunks(CHUNK).zip(values(up, l3)?.par_chunks(CHUNK));
        values_mut(gradient, l1)?.par_chunks_mut(CHUNK).zip(rest).for_each(|(gradient, (gate, up))| {
            for ((gradient, &gate), &up) in gradient.iter_mut().zip(gate).zip(up) {
                let s = sigmoid(gate);
                *gradient *= up * (s + gate * s * (1.0 - s));
            }
        });
        Ok(())
    }
}

struct TimesSilu;

impl InplaceOp2 for TimesSilu {
    fn name(&self) -> &'static str {
        "times silu"
    }

    fn cpu_fwd(&self, gradient: &mut CpuStorage, l1: &Layout, gate: &CpuStorage, l2: &Layout) -> Result<()> {
        let rows = values_mut(gradient, l1)?.par_chunks_mut(CHUNK).zip(values(gate, l2)?.par_chunks(CHUNK));
        rows.for_each(|(gradient, gate)| {
            gradient.iter_mut().zip(gate).for_each(|(g, &gate)| *g *= gate * sigmoid(gate));
        });
        Ok(())
    }
}

/// Large enough that splitting the work costs nothing, small enough for a cache.
const CHUNK: usize = 4096;

/// `1 / (1 + e^-x)`, by the exponential of a number that is not positive, which cannot overflow.
#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    let e = exp(-x.abs());
    let small = e / (1.0 + e);
    if x >= 0.0 { 1.0 - small } else { small }
}

fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((from, to))) => Ok(&values[from..to]),
        _ => bail!("a kernel of the differentiable prefix needs contiguous f32 values"),
    }
}

fn values_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((from, to))) => Ok(&mut values[from..to]),
        _ => bail!("a kernel of the differentiable prefix needs contiguous f32 values"),
    }
}
