//! PagedAttention's kernels as tensor operations on a CPU. They are slow, and serve to test the code around the kernels without a GPU.
//!
//! The caches have the GPU's layout: keys `[blocks, kv_heads, head_dim / x, block, x]`, values `[blocks, kv_heads, head_dim, block]`.
use candle_core::{bail, DType, IndexOp, Result, Tensor, D};

/// Writes keys and values, `[tokens, kv_heads, head_dim]`, into their cache slots. A negative slot marks padding.
pub(crate) fn reshape_and_cache(
    key: &Tensor,
    value: &Tensor,
    _k_scale: Option<&Tensor>,
    _v_scale: Option<&Tensor>,
    key_cache: &Tensor,
    value_cache: &Tensor,
    slots: &Tensor,
) -> Result<()> {
    let (_, heads, parts, block, x) = key_cache.dims5()?;
    let (key, value) = (key.contiguous()?, value.contiguous()?);
    for (token, slot) in slots.flatten_all()?.to_vec1::<i64>()?.into_iter().enumerate() {
        let Ok(slot) = usize::try_from(slot) else { continue };
        let (at, offset) = (slot / block, slot % block);
        let key = key.i(token)?.reshape((1, heads, parts, 1, x))?;
        key_cache.narrow(0, at, 1)?.slice_set(&key, 3, offset)?;
        let value = value.i(token)?.reshape((1, heads, parts * x, 1))?;
        value_cache.narrow(0, at, 1)?.slice_set(&value, 3, offset)?;
    }
    Ok(())
}

/// Reads the keys and values of all sequences, concatenated, `[tokens, kv_heads, head_dim]`. `cumulative`, `[sequences + 1]`, holds the
/// token offsets where sequences begin and end.
pub(crate) fn gather_kv_cache(
    key_cache: &Tensor,
    value_cache: &Tensor,
    _k_scale: Option<&Tensor>,
    _v_scale: Option<&Tensor>,
    block_tables: &Tensor,
    cumulative: &Tensor,
    dtype: DType,
) -> Result<(Tensor, Tensor)> {
    let ends = cumulative.to_vec1::<u32>()?;
    let (mut keys, mut values) = (Vec::new(), Vec::new());
    for (sequence, ends) in ends.windows(2).enumerate() {
        let (k, v) = read_blocks(key_cache, value_cache, &block_tables.i(sequence)?, (ends[1] - ends[0]) as usize)?;
        keys.push(k);
        values.push(v);
    }
    Ok((Tensor::cat(&keys, 0)?.to_dtype(dtype)?, Tensor::cat(&values, 0)?.to_dtype(dtype)?))
}

/// Reads the keys and values of the first `tokens` tokens in these blocks, `[tokens, kv_heads, head_dim]`.
fn read_blocks(key_cache: &Tensor, value_cache: &Tensor, blocks: &Tensor, tokens: usize) -> Result<(Tensor, Tensor)> {
    let (_, heads, parts, block, x) = key_cache.dims5()?;
    let blocks = blocks.narrow(0, 0, tokens.div_ceil(block))?.contiguous()?;
    let positions = blocks.dim(0)? * block;
    let key = key_cache.index_select(&blocks, 0)?.permute((0, 3, 1, 2, 4))?;
    let key = key.reshape((positions, heads, parts * x))?.narrow(0, 0, tokens)?;
    let value = value_cache.index_select(&blocks, 0)?.permute((0, 3, 1, 2))?;
    let value = value.reshape((positions, heads, parts * x))?.narrow(0, 0, tokens)?;
    Ok((key, value))
}

/// Attention of one query per sequence, `[sequences, heads, head_dim]`, to the tokens in its blocks. The result has the same shape.
#[allow(clippy::too_many_arguments)]
pub(crate) fn paged_attention(
    query: &Tensor,
    _k_scale: Option<&Tensor>,
    _v_scale: Option<&Tensor>,
    key_cache: &Tensor,
    value_cache: &Tensor,
    block_tables: &Tensor,
    context_lens: &Tensor,
    alibi_slopes: Option<&Tensor>,
    _max_context_len: usize,
    softmax_scale: f32,
    softcap: f32,
    sinks: Option<&Tensor>,
) -> Result<Tensor> {
    if alibi_slopes.is_some() || sinks.is_some() {
        bail!("on a CPU PagedAttention knows neither ALiBi nor attention sinks")
    }
    let dtype = query.dtype();
    let (_, heads, head_dim) = query.dims3()?;
    let kv_heads = key_cache.dim(1)?;
    let attended = context_lens.to_vec1::<u32>()?.into_iter().enumerate().map(|(sequence, tokens)| {
        let (key, value) = read_blocks(key_cache, value_cache, &block_tables.i(sequence)?, tokens as usize)?;
        let query = query.i(sequence)?.reshape((kv_heads, heads / kv_heads, head_dim))?.to_dtype(DType::F32)?;
        let scores = query.matmul(&key.permute((1, 2, 0))?.to_dtype(DType::F32)?.contiguous()?)?;
        let mut scores = (scores * f64::from(softmax_scale))?;
        // The kernel's value for no soft cap is 1.
        if softcap != 1.0 {
            scores = ((scores / f64::from(softcap))?.tanh()? * f64::from(softcap))?;
        }
        let weights = candle_nn::ops::softmax(&scores, D::Minus1)?;
        let out = weights.matmul(&value.permute((1, 0, 2))?.to_dtype(DType::F32)?.contiguous()?)?;
        out.reshape((heads, head_dim))?.to_dtype(dtype)
    });
    Tensor::stack(&attended.collect::<Result<Vec<_>>>()?, 0)
}

/// Fails, since it is called only for an eight-bit cache, which a CPU does not support.
pub(crate) fn kv_scale_update(_: &Tensor, _: &Tensor, _: &Tensor, _: &Tensor) -> Result<()> {
    bail!("on a CPU PagedAttention keeps no keys and values in eight bits")
}
