//! `silu(gate) * up`.
use candle_core::{CpuStorage, InplaceOp2, InplaceOp3, Layout, Result, Tensor};
use rayon::prelude::*;

use super::slices::CHUNK;
use crate::lens::exp;
use crate::simd::vectorized;
use crate::storage::{values, values_mut};

/// Computes `silu(gate) * up`.
///
/// # Shapes
/// `gate`, `up`: `[rows, width]`, contiguous; returns the same.
pub(in crate::decoder) fn gated(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    if !gate.device().is_cpu() {
        return by_tensors(gate, up);
    }
    let out = up.copy()?;
    out.inplace_op2(gate, &TimesSilu)?;
    Ok(out)
}

/// Gradients of [`gated`] with respect to gate and up.
///
/// # Shapes
/// All `[rows, width]`, contiguous.
pub(in crate::decoder) fn gated_backward(gate: &Tensor, up: &Tensor, gradient: &Tensor) -> Result<(Tensor, Tensor)> {
    if !gate.device().is_cpu() {
        return backward_by_tensors(gate, up, gradient);
    }
    let (grad_gate, grad_up) = (gradient.copy()?, gradient.copy()?);
    grad_gate.inplace_op3(gate, up, &GatedBackward)?;
    grad_up.inplace_op2(gate, &TimesSilu)?;
    Ok((grad_gate, grad_up))
}

/// [`gated`] for devices other than a CPU.
pub(super) fn by_tensors(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    gate.silu()? * up
}

/// [`gated_backward`] for devices other than a CPU.
pub(super) fn backward_by_tensors(gate: &Tensor, up: &Tensor, gradient: &Tensor) -> Result<(Tensor, Tensor)> {
    let sigmoid = (gate.neg()?.exp()? + 1.0)?.recip()?;
    let silu = (gate * &sigmoid)?;
    let slope = (&sigmoid + (&silu * (1.0 - &sigmoid)?)?)?;
    Ok((((gradient * up)? * slope)?, (gradient * silu)?))
}

/// Multiplies `x` by `silu(gate)` in place.
struct TimesSilu;

impl InplaceOp2 for TimesSilu {
    fn name(&self) -> &'static str {
        "times silu"
    }

    fn cpu_fwd(&self, x: &mut CpuStorage, l1: &Layout, gate: &CpuStorage, l2: &Layout) -> Result<()> {
        let rows = values_mut(x, l1)?.par_chunks_mut(CHUNK).zip(values(gate, l2)?.par_chunks(CHUNK));
        rows.for_each(|(x, gate)| {
            vectorized(
                #[inline(always)]
                || x.iter_mut().zip(gate).for_each(|(x, &gate)| *x *= gate * sigmoid(gate)),
            );
        });
        Ok(())
    }
}

/// Multiplies `x` by `up * silu'(gate)` in place.
struct GatedBackward;

impl InplaceOp3 for GatedBackward {
    fn name(&self) -> &'static str {
        "gated silu backward"
    }

    fn cpu_fwd(
        &self,
        x: &mut CpuStorage,
        l1: &Layout,
        gate: &CpuStorage,
        l2: &Layout,
        up: &CpuStorage,
        l3: &Layout,
    ) -> Result<()> {
        let rest = values(gate, l2)?.par_chunks(CHUNK).zip(values(up, l3)?.par_chunks(CHUNK));
        values_mut(x, l1)?.par_chunks_mut(CHUNK).zip(rest).for_each(|(x, (gate, up))| {
            vectorized(
                #[inline(always)]
                || {
                    for ((x, &gate), &up) in x.iter_mut().zip(gate).zip(up) {
                        let s = sigmoid(gate);
                        *x *= up * (s + gate * s * (1.0 - s));
                    }
                },
            );
        });
        Ok(())
    }
}

/// `1 / (1 + e^-x)`. It takes the exponential of `-|x|` only, which cannot overflow.
#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    let e = exp(-x.abs());
    let small = e / (1.0 + e);
    if x >= 0.0 { 1.0 - small } else { small }
}
