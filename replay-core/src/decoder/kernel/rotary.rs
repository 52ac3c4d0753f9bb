//! Rotation of the two halves of each head by an angle per row.
use candle_core::{CpuStorage, D, InplaceOp3, Layout, Result, Tensor};
use rayon::prelude::*;

use super::slices::width;
use crate::simd::vectorized;
use crate::storage::{values, values_mut};

/// Rotates each pair `(a, b)` to `(a cos - b sin, b cos + a sin)`, or with `inverse` by the opposite angle.
///
/// # Shapes
/// `x`: `[heads, rows, head]`, contiguous; `cos`, `sin`: `[rows, head / 2]`; returns the shape of `x`.
pub(in crate::decoder) fn rotate(x: &Tensor, cos: &Tensor, sin: &Tensor, inverse: bool) -> Result<Tensor> {
    let (cos, sin) = (cos.to_device(x.device())?, sin.to_device(x.device())?);
    if !x.device().is_cpu() {
        return by_tensors(x, &cos, sin, inverse);
    }
    let out = x.copy()?;
    out.inplace_op3(&cos, &sin, &Rotate { inverse })?;
    Ok(out)
}

/// [`rotate`] for devices other than a CPU.
pub(super) fn by_tensors(x: &Tensor, cos: &Tensor, sin: Tensor, inverse: bool) -> Result<Tensor> {
    let sin = if inverse { sin.neg()? } else { sin };
    let half = x.dim(D::Minus1)? / 2;
    let (a, b) = (x.narrow(D::Minus1, 0, half)?, x.narrow(D::Minus1, half, half)?);
    let first = (a.broadcast_mul(cos)? - b.broadcast_mul(&sin)?)?;
    let second = (b.broadcast_mul(cos)? + a.broadcast_mul(&sin)?)?;
    Tensor::cat(&[first, second], D::Minus1)
}

struct Rotate {
    inverse: bool,
}

impl InplaceOp3 for Rotate {
    fn name(&self) -> &'static str {
        "rotary embedding"
    }

    fn cpu_fwd(
        &self,
        x: &mut CpuStorage,
        l1: &Layout,
        cos: &CpuStorage,
        l2: &Layout,
        sin: &CpuStorage,
        l3: &Layout,
    ) -> Result<()> {
        let (cos, sin, head) = (values(cos, l2)?, values(sin, l3)?, width(l1));
        let half = head / 2;
        let sign = if self.inverse { -1.0 } else { 1.0 };
        let head_rows = cos.len() / half.max(1) * head;
        values_mut(x, l1)?.par_chunks_mut(head_rows).for_each(|x| {
            vectorized(
                #[inline(always)]
                || {
                    for ((x, cos), sin) in
                        x.chunks_exact_mut(head).zip(cos.chunks_exact(half)).zip(sin.chunks_exact(half))
                    {
                        let (first, second) = x.split_at_mut(half);
                        for (((a, b), cos), sin) in first.iter_mut().zip(second).zip(cos).zip(sin) {
                            let sin = sin * sign;
                            (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
                        }
                    }
                },
            );
        });
        Ok(())
    }
}
