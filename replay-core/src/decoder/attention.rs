//! Causal attention with grouped key/value heads, in blocks of queries: only one block's scores are held at a time, and keys that no query
//! of a block can see are skipped.
use candle_core::{Result, Tensor};

use super::kernel::{Causal, causal_softmax, softmax_backward};

/// Queries per block.
const BLOCK: usize = 128;

/// The keys and values that the queries attend to: first those of earlier rows, which are constant, then those of the rows themselves.
pub(super) struct KeysValues<'a> {
    /// `[key/value heads, keys, head]`.
    pub(super) keys: &'a Tensor,
    /// `[key/value heads, keys, head]`.
    pub(super) values: &'a Tensor,
    /// How many keys each query sees.
    pub(super) visible: &'a [usize],
    /// How many of the keys are constant.
    pub(super) constant: usize,
}

impl KeysValues<'_> {
    /// Blocks of queries: the first query, how many keys each query sees, and how many keys the block sees.
    fn blocks(&self) -> impl Iterator<Item = (usize, &[usize], usize)> {
        let start = |(index, visible)| (index * BLOCK, visible, visible_keys(visible));
        self.visible.chunks(BLOCK).enumerate().map(start)
    }
}

fn visible_keys(visible: &[usize]) -> usize {
    visible.iter().copied().max().unwrap_or(0)
}

/// The attention output of each query.
///
/// # Shapes
/// `queries`: `[heads, queries, head]`; returns the same.
pub(super) fn forward(queries: &Tensor, cache: &KeysValues<'_>) -> Result<Tensor> {
    let shape = Shape::of(queries, cache.keys)?;
    let mut blocks = Vec::new();
    for (start, visible, keys) in cache.blocks() {
        let p = probabilities(&shape, queries, cache, start, visible, keys)?;
        blocks.push(shape.ungroup(&p.matmul(&first_keys(cache.values, keys)?)?, visible.len())?);
    }
    Tensor::cat(&blocks, 1)
}

/// Gradients of queries, and of the keys and values that are not constant.
///
/// # Shapes
/// `gradient`: `[heads, queries, head]`; returns `[heads, queries, head]` and twice `[key/value heads, rows, head]`.
pub(super) fn backward(
    queries: &Tensor,
    cache: &KeysValues<'_>,
    gradient: &Tensor,
) -> Result<(Tensor, Tensor, Tensor)> {
    let shape = Shape::of(queries, cache.keys)?;
    let total = cache.keys.dim(1)?;
    let mut grad_queries = Vec::new();
    let (mut grad_keys, mut grad_values) = (None, None);
    for (start, visible, keys) in cache.blocks() {
        let p = probabilities(&shape, queries, cache, start, visible, keys)?;
        let out = shape.group(gradient, start, visible.len())?;
        let grad_scores = out.matmul(&first_keys(cache.values, keys)?.t()?)?;
        let grad_scores = softmax_backward(grad_scores, &p, shape.scale)?;
        grad_queries.push(shape.ungroup(&grad_scores.matmul(&first_keys(cache.keys, keys)?)?, visible.len())?);

        let variable = keys.saturating_sub(cache.constant);
        if variable == 0 {
            continue;
        }
        let transposed = |x: &Tensor| {
            let x = x.narrow(2, cache.constant, variable)?.transpose(1, 2)?;
            // Matrix products on other devices need contiguous operands.
            if x.device().is_cpu() { Ok(x) } else { x.contiguous() }
        };
        let padding = total - keys;
        let block = shape.group(queries, start, visible.len())?;
        add(&mut grad_keys, transposed(&grad_scores)?.matmul(&block)?.pad_with_zeros(1, 0, padding)?)?;
        add(&mut grad_values, transposed(&p)?.matmul(&out)?.pad_with_zeros(1, 0, padding)?)?;
    }
    let zeros = || cache.keys.narrow(1, cache.constant, total - cache.constant)?.zeros_like();
    let or_zeros = |sum: Option<Tensor>| sum.map_or_else(zeros, Ok);
    Ok((Tensor::cat(&grad_queries, 1)?, or_zeros(grad_keys)?, or_zeros(grad_values)?))
}

fn probabilities(
    shape: &Shape,
    queries: &Tensor,
    cache: &KeysValues<'_>,
    start: usize,
    visible: &[usize],
    keys: usize,
) -> Result<Tensor> {
    let scores = shape.group(queries, start, visible.len())?.matmul(&first_keys(cache.keys, keys)?.t()?)?;
    causal_softmax(scores, shape.scale, Causal { visible })
}

fn first_keys(tensor: &Tensor, keys: usize) -> Result<Tensor> {
    tensor.narrow(1, 0, keys)
}

fn add(sum: &mut Option<Tensor>, term: Tensor) -> Result<()> {
    *sum = Some(match sum.take() {
        Some(sum) => (sum + term)?,
        None => term,
    });
    Ok(())
}

/// Sizes of the heads. Query heads that share a key/value head are stacked, so that one matrix product computes all of them.
struct Shape {
    groups: usize,
    key_heads: usize,
    head: usize,
    scale: f32,
}

impl Shape {
    fn of(queries: &Tensor, keys: &Tensor) -> Result<Self> {
        let ((heads, _, head), key_heads) = (queries.dims3()?, keys.dim(0)?);
        Ok(Self { groups: heads / key_heads, key_heads, head, scale: 1.0 / (head as f32).sqrt() })
    }

    /// `[heads, queries, head]` to `[key/value heads, groups * block, head]`.
    fn group(&self, x: &Tensor, start: usize, block: usize) -> Result<Tensor> {
        x.narrow(1, start, block)?.contiguous()?.reshape((self.key_heads, self.groups * block, self.head))
    }

    fn ungroup(&self, x: &Tensor, block: usize) -> Result<Tensor> {
        x.reshape((self.key_heads * self.groups, block, self.head))
    }
}
