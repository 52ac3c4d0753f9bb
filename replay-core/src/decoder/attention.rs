//! Causal attention with grouped key/value heads, in blocks of queries: memory is one block's scores, and keys that no query of a
//! block can see cost nothing.
use candle_core::{Result, Tensor};

use super::kernel::{Causal, causal_softmax, softmax_backward};

/// Queries per block.
const BLOCK: usize = 128;

/// Keys and values that the queries look at: those of earlier rows, which are constant, and then those of the rows themselves.
pub(super) struct Seen<'a> {
    /// `[key/value heads, keys, head]`.
    pub(super) keys: &'a Tensor,
    /// `[key/value heads, keys, head]`.
    pub(super) values: &'a Tensor,
    /// How many keys each query sees.
    pub(super) visible: &'a [usize],
    /// How many of the keys are constant.
    pub(super) constant: usize,
}

impl Seen<'_> {
    fn blocks(&self) -> impl Iterator<Item = (usize, &[usize], usize)> {
        let start = |(index, visible)| (index * BLOCK, visible, keys_of(visible));
        self.visible.chunks(BLOCK).enumerate().map(start)
    }
}

fn keys_of(visible: &[usize]) -> usize {
    visible.iter().copied().max().unwrap_or(0)
}

/// What each query attends to.
///
/// # Shapes
/// `queries`: `[heads, queries, head]`; returns the same.
pub(super) fn forward(queries: &Tensor, seen: &Seen<'_>) -> Result<Tensor> {
    let shape = Shape::of(queries, seen.keys)?;
    let mut blocks = Vec::new();
    for (start, visible, keys) in seen.blocks() {
        let p = probabilities(&shape, queries, seen, start, visible, keys)?;
        blocks.push(shape.ungroup(&p.matmul(&first(seen.values, keys)?)?, visible.len())?);
    }
    Tensor::cat(&blocks, 1)
}

/// Gradients of queries, and of the keys and values that are not constant.
///
/// # Shapes
/// `gradient`: `[heads, queries, head]`; returns `[heads, queries, head]` and twice `[key/value heads, rows, head]`.
pub(super) fn backward(queries: &Tensor, seen: &Seen<'_>, gradient: &Tensor) -> Result<(Tensor, Tensor, Tensor)> {
    let shape = Shape::of(queries, seen.keys)?;
    let total = seen.keys.dim(1)?;
    let mut to_queries = Vec::new();
    let (mut to_keys, mut to_values) = (None, None);
    for (start, visible, keys) in seen.blocks() {
        let p = probabilities(&shape, queries, seen, start, visible, keys)?;
        let out = shape.group(gradient, start, visible.len())?;
        let to_scores = out.matmul(&first(seen.values, keys)?.t()?)?;
        let to_scores = softmax_backward(to_scores, &p, shape.scale)?;
        to_queries.push(shape.ungroup(&to_scores.matmul(&first(seen.keys, keys)?)?, visible.len())?);

        let moving = keys.saturating_sub(seen.constant);
        if moving == 0 {
            continue;
        }
        let transposed = |x: &Tensor| {
            let x = x.narrow(2, seen.constant, moving)?.transpose(1, 2)?;
            // Only the CPU multiplies matrices of any strides.
            if x.device().is_cpu() { Ok(x) } else { x.contiguous() }
        };
        let padding = total - keys;
        let block = shape.group(queries, start, visible.len())?;
        add(&mut to_keys, transposed(&to_scores)?.matmul(&block)?.pad_with_zeros(1, 0, padding)?)?;
        add(&mut to_values, transposed(&p)?.matmul(&out)?.pad_with_zeros(1, 0, padding)?)?;
    }
    let none = || seen.keys.narrow(1, seen.constant, total - seen.constant)?.zeros_like();
    let or_none = |sum: Option<Tensor>| sum.map_or_else(none, Ok);
    Ok((Tensor::cat(&to_queries, 1)?, or_none(to_keys)?, or_none(to_values)?))
}

fn probabilities(
    shape: &Shape,
    queries: &Tensor,
    seen: &Seen<'_>,
    start: usize,
    visible: &[usize],
    keys: usize,
) -> Result<Tensor> {
    let scores = shape.group(queries, start, visible.len())?.matmul(&first(seen.keys, keys)?.t()?)?;
    causal_softmax(scores, shape.scale, Causal { visible })
}

fn first(tensor: &Tensor, keys: usize) -> Result<Tensor> {
    tensor.narrow(1, 0, keys)
}

fn add(sum: &mut Option<Tensor>, term: Tensor) -> Result<()> {
    *sum = Some(match sum.take() {
        Some(sum) => (sum + term)?,
        None => term,
    });
    Ok(())
}

/// Query heads that share a key/value head are stacked, so that one product serves them all.
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
