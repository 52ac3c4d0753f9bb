//! Known prefixes where the engine keeps keys and values in pages (PagedAttention). A layer attends to what it has just computed and
//! writes it into the sequence's blocks: both are given the known prefix in front. What an answer leaves is read out of its blocks.
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
    static KNOWN: RefCell<Vec<LayerKeysValues>> = const { RefCell::new(Vec::new()) };
    static RECORDED: RefCell<Option<Vec<LayerKeysValues>>> = const { RefCell::new(None) };
    static MANAGER: RefCell<Option<Manager>> = const { RefCell::new(None) };
}

/// Which blocks belong to which sequence, in this step.
pub(super) fn begin_step(backend: &CacheBackendMetadata) {
    MANAGER.set(match backend {
        CacheBackendMetadata::PagedAttention { metadata } => Some(metadata.kv_cache_manager.clone()),
        CacheBackendMetadata::DefaultInstructions { .. } => None,
    });
}

/// Whether this pipeline keeps keys and values in pages, and such as can be taken out and put back.
pub(super) fn usable<P: Pipeline + ?Sized>(pipeline: &P) -> bool {
    let metadata = pipeline.get_metadata();
    // Those of eight bits go with a scale that changes.
    let whole = |engine: &crate::paged_attention::CacheEngine| {
        engine.get_kv_cache().first().is_some_and(|(keys, _)| keys.dtype() != DType::F8E4M3)
    };
    metadata.cache_engine.as_ref().is_some_and(whole)
}

/// The layer that runs next.
pub(super) fn at(layer: usize) {
    LAYER.set(layer);
}

/// Gives each layer these keys and values of the positions before its own, until [`forget`].
pub(super) fn know(layers: Vec<LayerKeysValues>) {
    KNOWN.set(layers);
}

pub(super) fn forget() {
    KNOWN.set(Vec::new());
}

/// Runs a pass, in which [`donated`] knows what earlier layers computed, and returns it, for all positions and of all layers that keep
/// their own.
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
    (out, recorded.map(|(layer, seen)| seen.filter(|_| keeps_its_own(pipeline, layer))).collect())
}

fn keeps_its_own<P: Pipeline + ?Sized>(pipeline: &P, layer: usize) -> bool {
    let metadata = pipeline.get_metadata();
    metadata.model_metadata.as_ref().is_none_or(|model| model.uses_own_kv_cache_for_layer(layer))
}

/// In a pass without pages: what a layer attends to that reads the pages of another.
pub(crate) fn donated(donor: Option<usize>, keys: Tensor, values: Tensor) -> (Tensor, Tensor) {
    let seen = |donor: usize| RECORDED.with_borrow(|recorded| recorded.as_ref()?.get(donor)?.clone());
    donor.and_then(seen).unwrap_or((keys, values))
}

/// Keys and values `[batch, heads, positions, head_dim]` of a layer, those of the known prefix in front. A layer that keeps none of its
/// own reads another's pages.
#[allow(dead_code)]
pub(crate) fn whole_keys_values(keys: &Tensor, values: &Tensor, own: bool) -> Result<(Tensor, Tensor)> {
    let layer = LAYER.get();
    let known = KNOWN.with_borrow(|known| known.get(layer).cloned().flatten());
    let (keys, values) = match known.filter(|_| own) {
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

/// What a sequence has in its blocks: all but its last token.
pub(super) fn of_sequence<P: Pipeline + ?Sized>(pipeline: &P, sequence: &Sequence) -> Result<Option<KeysValues>> {
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
    let one = |(layer, (keys, values)): (usize, &(Tensor, Tensor))| -> Result<LayerKeysValues> {
        if !keeps_its_own(pipeline, layer) {
            return Ok(None);
        }
        let device = keys.device();
        let table = Tensor::new(blocks.as_slice(), device)?.unsqueeze(0)?;
        let ends = Tensor::new(&[0, positions as u32], device)?;
        let (k, v) = gather_kv_cache(keys, values, None, None, &table, &ends, keys.dtype())?;
        let by_head = |t: Tensor| t.transpose(0, 1)?.unsqueeze(0);
        Ok(Some((by_head(k)?, by_head(v)?)))
    };
    let layers = engine.get_kv_cache().iter().enumerate().map(one).collect::<Result<Vec<_>>>()?;
    KeysValues::copied(layers)
}
