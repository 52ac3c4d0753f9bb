//! Logits of a few vocabulary entries per row, computed from those rows of the head only.
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use crate::simd::{sum, vectorized};
use crate::storage::{indices, values};

/// Rows of the head that are gathered at a time on devices where they have to be copied.
const BLOCK: usize = 4096;

/// `logits[r][i] = normed[r] . head[tokens[r][i]]`.
///
/// # Shapes
/// `normed`: `[rows, hidden]`, `head`: `[entries, hidden]`, `tokens`: `[rows, top]`, u32 indices into `head`; returns `[rows, top]`.
///
/// # Errors
/// If the shapes do not fit; those of the tensor library.
pub(super) fn forward(normed: &Tensor, head: &Tensor, tokens: &Tensor) -> Result<Tensor> {
    if (normed.dim(0)?, normed.dim(1)?) != (tokens.dim(0)?, head.dim(1)?) {
        bail!("expected [{}, {}] for gathered logits, got {:?}", tokens.dim(0)?, head.dim(1)?, normed.dims());
    }
    match normed.device().is_cpu() {
        true => normed.contiguous()?.apply_op3_no_bwd(head, tokens, &Dot),
        false => forward_by_tensors(normed, head, tokens),
    }
}

/// [`forward`] for devices other than a CPU.
fn forward_by_tensors(normed: &Tensor, head: &Tensor, tokens: &Tensor) -> Result<Tensor> {
    blocks(tokens, |first, rows, gathered| {
        gathered(head)?.matmul(&normed.narrow(0, first, rows)?.unsqueeze(2)?)?.squeeze(2)
    })
}

/// The gradient of [`forward`] with respect to `normed`: `sum over i of gradient[r][i] * head[tokens[r][i]]` for each row `r`.
///
/// # Shapes
/// `gradient`: `[rows, top]`; `head`, `tokens`: as in [`forward`]; returns `[rows, hidden]`.
///
/// # Errors
/// If the shapes do not fit; those of the tensor library.
pub(super) fn backward(gradient: &Tensor, head: &Tensor, tokens: &Tensor) -> Result<Tensor> {
    if gradient.dims() != tokens.dims() {
        bail!("expected gradients of gathered logits of shape {:?}, got {:?}", tokens.dims(), gradient.dims());
    }
    match gradient.device().is_cpu() {
        true => gradient.contiguous()?.apply_op3_no_bwd(head, tokens, &Combine),
        false => backward_by_tensors(gradient, head, tokens),
    }
}

/// [`backward`] for devices other than a CPU.
fn backward_by_tensors(gradient: &Tensor, head: &Tensor, tokens: &Tensor) -> Result<Tensor> {
    blocks(tokens, |first, rows, gathered| {
        gradient.narrow(0, first, rows)?.unsqueeze(1)?.matmul(&gathered(head)?)?.squeeze(1)
    })
}

type Gathered<'a> = dyn Fn(&Tensor) -> Result<Tensor> + 'a;

fn blocks(tokens: &Tensor, f: impl Fn(usize, usize, &Gathered<'_>) -> Result<Tensor>) -> Result<Tensor> {
    let (rows, top) = tokens.dims2()?;
    let step = (BLOCK / top).max(1);
    let block = |first: usize| {
        let count = step.min(rows - first);
        let picked = tokens.narrow(0, first, count)?.flatten_all()?;
        f(first, count, &|head| head.index_select(&picked, 0)?.reshape((count, top, ())))
    };
    Tensor::cat(&(0..rows).step_by(step).map(block).collect::<Result<Vec<_>>>()?, 0)
}

struct Dot;

impl CustomOp3 for Dot {
    fn name(&self) -> &'static str {
        "gathered dot products"
    }

    fn cpu_fwd(
        &self,
        normed: &CpuStorage,
        l1: &Layout,
        head: &CpuStorage,
        l2: &Layout,
        tokens: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (normed, head, tokens) = (values(normed, l1)?, values(head, l2)?, indices(tokens, l3)?);
        let (width, top) = (l1.dims()[1], l3.dims()[1]);
        let mut out = vec![0f32; tokens.len()];
        out.par_chunks_mut(top).zip(normed.par_chunks(width)).zip(tokens.par_chunks(top)).for_each(
            |((out, row), tokens)| {
                vectorized(
                    #[inline(always)]
                    || {
                        for (out, &token) in out.iter_mut().zip(tokens) {
                            *out = sum(row, &head[token as usize * width..][..width], |a, b| a * b);
                        }
                    },
                );
            },
        );
        Ok((CpuStorage::F32(out), l3.shape().clone()))
    }
}

struct Combine;

impl CustomOp3 for Combine {
    fn name(&self) -> &'static str {
        "gathered combination"
    }

    fn cpu_fwd(
        &self,
        gradient: &CpuStorage,
        l1: &Layout,
        head: &CpuStorage,
        l2: &Layout,
        tokens: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (gradient, head, tokens) = (values(gradient, l1)?, values(head, l2)?, indices(tokens, l3)?);
        let (rows, top, width) = (l3.dims()[0], l3.dims()[1], l2.dims()[1]);
        let mut out = vec![0f32; rows * width];
        out.par_chunks_mut(width).zip(gradient.par_chunks(top)).zip(tokens.par_chunks(top)).for_each(
            |((out, gradient), tokens)| {
                vectorized(
                    #[inline(always)]
                    || {
                        for (&gradient, &token) in gradient.iter().zip(tokens) {
                            let head = &head[token as usize * width..][..width];
                            out.iter_mut().zip(head).for_each(|(out, head)| *out += gradient * head);
                        }
                    },
                );
            },
        );
        Ok((CpuStorage::F32(out), (rows, width).into()))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::testing::{assert_same_tensors, edge_cases, wide};

    /// Entries that differ from row to row, some repeated.
    fn tokens(rows: usize, top: usize, entries: usize) -> Tensor {
        let tokens: Vec<u32> = (0..rows * top).map(|i| (i * i * 31 % entries) as u32).collect();
        Tensor::from_vec(tokens, (rows, top), &Device::Cpu).unwrap()
    }

    /// More rows than a block of gathered rows holds, and rows that are not finite.
    #[test]
    fn tensors_and_values_give_the_same_logits_and_gradients() {
        for (normed, top) in [(wide(200, 70, 2.0), 50), (wide(3, 70, 1e3), 4), (edge_cases(), 5)] {
            let (rows, width) = normed.dims2().unwrap();
            let (head, tokens) = (wide(90, width, 1.0), tokens(rows, top, 90));
            let logits = forward(&normed, &head, &tokens).unwrap();
            // Sums with terms of 1e38 depend on the order of the terms, so large values are clamped before the comparison.
            let finite = |t: &Tensor| (t.clamp(-1e30f32, 1e30f32).unwrap() * 1e-3).unwrap();
            assert_same_tensors(&finite(&logits), &finite(&forward_by_tensors(&normed, &head, &tokens).unwrap()));
            let gradient = wide(rows, top, 0.1);
            let values = backward(&gradient, &head, &tokens).unwrap();
            assert_same_tensors(&values, &backward_by_tensors(&gradient, &head, &tokens).unwrap());
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let (normed, head, tokens) = (wide(3, 8, 1.0), wide(5, 8, 1.0), tokens(3, 2, 5));
        assert!(forward(&normed.narrow(0, 0, 2).unwrap(), &head, &tokens).is_err());
        assert!(forward(&normed, &wide(5, 7, 1.0), &tokens).is_err());
        assert!(backward(&wide(3, 3, 1.0), &head, &tokens).is_err());
    }
}
