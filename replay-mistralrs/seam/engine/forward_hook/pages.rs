//! Known prefixes with PagedAttention, where the engine keeps keys and values in pages.
//!
//! A layer attends to the keys and values that it computed, and writes them into the sequence's blocks. With a known prefix, both get the
//! prefix's keys and values in front. The keys and values of an answered sequence are read out of its blocks.
use std::{
    cell::{Cell, RefCell},
    sync::Arc,
};

use candle_core::{DType, Result, Tensor};
use tokio::sync::Mutex;

use super::keys_values::{KeysValues, LayerKeysValues};
use crate::{
    paged_attention::KVCacheManager,
    pipeline::{CacheBackendMetadata, Pipeline},
    sequence::Sequence,
};

#[cfg(all(feature = "paged-on-cpu", not(any(feature = "cuda", feature = "metal"))))]
use crate::paged_on_cpu::gather_kv_cache;
#[cfg(any(all(feature = "cuda", target_family = "unix"), feature = "metal"))]
use mistralrs_paged_attn::gather_kv_cache;
#[cfg(not(any(all(feature = "cuda", target_family = "unix"), feature = "metal", feature = "paged-on-cpu")))]
fn gather_kv_cache(
    _: &Tensor,
    _: &Tensor,
    _: Option<&Tensor>,
    _: Option<&Tensor>,
    _: &Tensor,
    _: &Tensor,
    _: DType,
) -> Result<(Tensor, Tensor)> {
    candle_core::bail!("this program has no PagedAttention")
}

type Manager = Arc<Mutex<KVCacheManager>>;

thread_local! {
    static LAYER: Cell<usize> = const { Cell::new(0) };
    static PREFIX: RefCell<Vec<LayerKeysValues>> = const { RefCell::new(Vec::new()) };
    static RECORDED: RefCell<Option<Vec<LayerKeysValues>>> = const { RefCell::new(None) };
    static MANAGER: RefCell<Option<Manager>> = const { RefCell::new(None) };
}

/// Remembers the block tables of this step.
pub(super) fn begin_step(backend: &CacheBackendMetadata) {
    MANAGER.set(match backend {
        CacheBackendMetadata::PagedAttention { metadata } => Some(metadata.kv_cache_manager.clone()),
        CacheBackendMetadata::DefaultInstructions { .. } => None,
    });
}

/// Whether this pipeline keeps keys and values in pages whose content can be copied out and back.
pub(super) fn usable<P: Pipeline + ?Sized>(pipeline: &P) -> bool {
    let metadata = pipeline.get_metadata();
    // Eight-bit pages are stored relative to a scale that changes.
    let unscaled = |engine: &crate::paged_attention::CacheEngine| {
        engine.get_kv_cache().first().is_some_and(|(keys, _)| keys.dtype() != DType::F8E4M3)
    };
    metadata.cache_engine.as_ref().is_some_and(unscaled)
}

/// Sets the layer that [`whole_keys_values`] is called for next.
pub(super) fn set_layer(layer: usize) {
    LAYER.set(layer);
}

/// Puts these keys and values in front of each layer's own, until [`clear_prefix`].
pub(super) fn set_prefix(layers: Vec<LayerKeysValues>) {
    PREFIX.set(layers);
}

pub(super) fn clear_prefix() {
    PREFIX.set(Vec::new());
}

/// Runs a pass, and returns the keys and values of all its positions too, for each layer that stores its own. Within the pass
/// [`donated`] finds those of earlier layers.
pub(super) fn record<P: Pipeline + ?Sized, T>(
    pipeline: &mut P,
    pass: impl FnOnce(&mut P) -> T,
) -> (T, Vec<LayerKeysValues>) {
    struct Clear;
    impl Drop for Clear {
        fn drop(&mut self) {
            RECORDED.set(None);
        }
    }
    RECORDED.set(Some(Vec::new()));
    let _clear = Clear;
    let out = pass(pipeline);
    let recorded = RECORDED.take().unwrap_or_default().into_iter().enumerate();
    (out, recorded.map(|(layer, computed)| computed.filter(|_| stores_its_own(pipeline, layer))).collect())
}

fn stores_its_own<P: Pipeline + ?Sized>(pipeline: &P, layer: usize) -> bool {
    let metadata = pipeline.get_metadata();
    metadata.model_metadata.as_ref().is_none_or(|model| model.uses_own_kv_cache_for_layer(layer))
}

/// The keys and values that a layer attends to in a pass without pages: those of layer `donor` if it reads another layer's.
pub(crate) fn donated(donor: Option<usize>, keys: Tensor, values: Tensor) -> (Tensor, Tensor) {
    let recorded = |donor: usize| RECORDED.with_borrow(|recorded| recorded.as_ref()?.get(donor)?.clone());
    donor.and_then(recorded).unwrap_or((keys, values))
}

/// Puts the known prefix in front of a layer's keys and values, `[batch, heads, positions, head_dim]`, if the layer stores its own
/// (`own`). A layer that reads another layer's pages finds the prefix there.
#[allow(dead_code)]
pub(crate) fn whole_keys_values(keys: &Tensor, values: &Tensor, own: bool) -> Result<(Tensor, Tensor)> {
    let layer = LAYER.get();
    let prefix = PREFIX.with_borrow(|prefix| prefix.get(layer).cloned().flatten());
    let (keys, values) = match prefix.filter(|_| own) {
        Some((k, v)) => (Tensor::cat(&[&k, keys], 2)?, Tensor::cat(&[&v, values], 2)?),
        None => (keys.clone(), values.clone()),
    };
    RECORDED.with_borrow_mut(|recorded| {
        if let Some(recorded) = recorded.as_mut().filter(|_| own) {
            recorded.resize(recorded.len().max(layer + 1), None);
            recorded[layer] = Some((keys.clone(), values.clone()));
        }
    });
    Ok((keys, values))
}

/// Copies a sequence's keys and values out of its blocks, which hold all tokens but the last.
pub(super) fn read_sequence<P: Pipeline + ?Sized>(pipeline: &P, sequence: &Sequence) -> Result<Option<KeysValues>> {
    let metadata = pipeline.get_metadata();
    let (Some(engine), Some(manager)) = (&metadata.cache_engine, MANAGER.with_borrow(Clone::clone)) else {
        return Ok(None);
    };
    let positions = sequence.get_toks().len().saturating_sub(1);
    let blocks: Option<Vec<u32>> = match manager.try_lock() {
        Ok(manager) => manager.get_block_ids(*sequence.id()).map(|ids| ids.iter().map(|id| *id as u32).collect()),
        Err(_) => None,
    };
    let Some(blocks) = blocks.filter(|_| positions > 0) else { return Ok(None) };
    let read_layer = |(layer, (keys, values)): (usize, &(Tensor, Tensor))| -> Result<LayerKeysValues> {
        if !stores_its_own(pipeline, layer) {
            return Ok(None);
        }
        let device = keys.device();
        let table = Tensor::new(blocks.as_slice(), device)?.unsqueeze(0)?;
        let ends = Tensor::new(&[0, positions as u32], device)?;
        let (k, v) = gather_kv_cache(keys, values, None, None, &table, &ends, keys.dtype())?;
        let heads_first = |t: Tensor| t.transpose(0, 1)?.unsqueeze(0);
        Ok(Some((heads_first(k)?, heads_first(v)?)))
    };
    let layers = engine.get_kv_cache().iter().enumerate().map(read_layer).collect::<Result<Vec<_>>>()?;
    KeysValues::copy_from(layers)
}
