//! Logits of a few vocabulary entries per row: as many rows of the head as are asked for take part, not the vocabulary.
use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use crate::simd::{sum, vectorized};

/// Entries of `[entries, hidden]` per block where the gathered rows have to be copied.
const BLOCK: usize = 4096;

/// `logits[r][i] = normed[r] . head[tokens[r][i]]`.
///
/// # Shapes
/// `normed`: `[rows, hidden]`, `head`: `[entries, hidden]`, `tokens`: `[rows, top]`, u32 indices into `head`; returns `[rows, top]`.
pub(super) fn forward(normed: &Tensor, head: &Tensor, tokens: &Tensor) -> Result<Tensor> {
    if normed.device().is_cpu() {
        return normed.contiguous()?.apply_op3_no_bwd(head, tokens, &Dot);
    }
    blocks(tokens, |first, rows, gathered| {
        gathered(head)?.matmul(&normed.narrow(0, first, rows)?.unsqueeze(2)?)?.squeeze(2)
    })
}

/// `gradient[r] -> sum over i of gradient[r][i] * head[tokens[r][i]]`.
///
/// # Shapes
/// `gradient`: `[rows, top]`; returns `[rows, hidden]`.
pub(super) fn backward(gradient: &Tensor, head: &Tensor, tokens: &Tensor) -> Result<Tensor> {
    if gradient.device().is_cpu() {
        return gradient.contiguous()?.apply_op3_no_bwd(head, tokens, &Combine);
    }
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
        let (normed, head, tokens) = (floats(normed, l1)?, floats(head, l2)?, indices(tokens, l3)?);
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
        let (gradient, head, tokens) = (floats(gradient, l1)?, floats(head, l2)?, indices(tokens, l3)?);
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

fn floats<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((from, to))) => Ok(&values[from..to]),
        _ => bail!("gathered logits need contiguous {:?} values", DType::F32),
    }
}

fn indices<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [u32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::U32(values), Some((from, to))) => Ok(&values[from..to]),
        _ => bail!("gathered logits need contiguous {:?} indices", DType::U32),
    }
}
