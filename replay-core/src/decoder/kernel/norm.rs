//! Root mean square norm over the last axis.
use candle_core::{CpuStorage, D, InplaceOp2, InplaceOp3, Layout, Result, Tensor};
use rayon::prelude::*;

use super::slices::width;
use crate::simd::{sum, vectorized};
use crate::storage::{values, values_mut};

/// Computes `w * x / sqrt(mean(x^2) + epsilon)`.
///
/// # Shapes
/// `x`: `[.., width]`, contiguous, `weight`: `[width]`; returns the shape of `x`.
pub(in crate::decoder) fn rms_norm(x: &Tensor, weight: &Tensor, epsilon: f64) -> Result<Tensor> {
    if !x.device().is_cpu() {
        return by_tensors(x, weight, epsilon);
    }
    let out = x.copy()?;
    out.inplace_op2(weight, &Norm(epsilon))?;
    Ok(out)
}

/// [`rms_norm`] for devices other than a CPU.
pub(super) fn by_tensors(x: &Tensor, weight: &Tensor, epsilon: f64) -> Result<Tensor> {
    x.broadcast_mul(&inverse_rms(x, epsilon)?)?.broadcast_mul(weight)
}

/// The gradient of [`rms_norm`] with respect to `x`: `r * u - x * r^3 * mean(u * x)`, with `r = 1 / sqrt(mean(x^2) + epsilon)` and
/// `u = gradient * w`.
///
/// # Shapes
/// `gradient`: that of the output, the shape of `x`, contiguous; returns that of the input.
pub(in crate::decoder) fn rms_norm_backward(
    x: &Tensor,
    weight: &Tensor,
    epsilon: f64,
    gradient: &Tensor,
) -> Result<Tensor> {
    if !x.device().is_cpu() {
        return backward_by_tensors(x, weight, epsilon, gradient);
    }
    let out = gradient.copy()?;
    out.inplace_op3(x, weight, &NormBackward(epsilon))?;
    Ok(out)
}

/// [`rms_norm_backward`] for devices other than a CPU.
pub(super) fn backward_by_tensors(x: &Tensor, weight: &Tensor, epsilon: f64, gradient: &Tensor) -> Result<Tensor> {
    let r = inverse_rms(x, epsilon)?;
    let u = gradient.broadcast_mul(weight)?;
    let along = ((&u * x)?.mean_keepdim(D::Minus1)? * (r.sqr()? * &r)?)?;
    u.broadcast_mul(&r)? - x.broadcast_mul(&along)?
}

fn inverse_rms(x: &Tensor, epsilon: f64) -> Result<Tensor> {
    (x.sqr()?.mean_keepdim(D::Minus1)? + epsilon)?.sqrt()?.recip()
}

#[inline(always)]
fn inverse(x: &[f32], epsilon: f64) -> f32 {
    let mean = f64::from(sum(x, x, |a, b| a * b)) / x.len() as f64;
    (1.0 / (mean + epsilon).sqrt()) as f32
}

struct Norm(f64);

impl InplaceOp2 for Norm {
    fn name(&self) -> &'static str {
        "rms norm"
    }

    fn cpu_fwd(&self, x: &mut CpuStorage, l1: &Layout, weight: &CpuStorage, l2: &Layout) -> Result<()> {
        let (weight, epsilon) = (values(weight, l2)?, self.0);
        values_mut(x, l1)?.par_chunks_mut(width(l1)).for_each(|x| {
            vectorized(
                #[inline(always)]
                || {
                    let r = inverse(x, epsilon);
                    x.iter_mut().zip(weight).for_each(|(x, w)| *x = *x * r * w);
                },
            );
        });
        Ok(())
    }
}

struct NormBackward(f64);

impl InplaceOp3 for NormBackward {
    fn name(&self) -> &'static str {
        "rms norm backward"
    }

    fn cpu_fwd(
        &self,
        gradient: &mut CpuStorage,
        l1: &Layout,
        x: &CpuStorage,
        l2: &Layout,
        weight: &CpuStorage,
        l3: &Layout,
    ) -> Result<()> {
        let (weight, epsilon, width) = (values(weight, l3)?, self.0, width(l1));
        let rows = values_mut(gradient, l1)?.par_chunks_mut(width).zip(values(x, l2)?.par_chunks(width));
        rows.for_each(|(g, x)| {
            vectorized(
                #[inline(always)]
                || {
                    let r = inverse(x, epsilon);
                    g.iter_mut().zip(weight).for_each(|(g, w)| *g *= w);
                    let along = sum(g, x, |u, x| u * x) / width as f32 * r * r * r;
                    g.iter_mut().zip(x).for_each(|(u, x)| *u = *u * r - x * along);
                },
            );
        });
        Ok(())
    }
}
