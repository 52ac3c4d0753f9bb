//! A prompt forward that skips a prefix whose keys and values are known.
//!
//! The model prepares the whole prompt as usual: embeddings with image features, positions, masks. [`cut`] removes the rows of the prefix
//! where they enter the decoder layers. So scheduler, input processors, image placement and M-RoPE need no change.
use std::{
    panic::{catch_unwind, AssertUnwindSafe},
    sync::{Arc, PoisonError},
};

use candle_core::{Error, Result, Tensor};

use super::{
    cut,
    keys_values::{KeysValues, LayerKeysValues},
    pages,
};
use crate::{
    kv_cache::{EitherCache, KvCache},
    pipeline::Pipeline,
    sequence::Sequence,
};

/// The prefix that the forward of a batch skips.
pub(crate) struct KnownPrefix {
    /// The keys and values of each row of the batch.
    pub(super) keys_values: Vec<Arc<KeysValues>>,
    /// Number of positions that are not computed.
    pub(super) skipped: usize,
    /// Length of the whole prompt.
    pub(super) positions: usize,
}

/// Whether a forward of these sequences can skip a prefix: they have the same length, no request wants the logits of all positions, and
/// the model keeps keys and values by position.
pub(super) fn supported<P: Pipeline + ?Sized>(pipeline: &P, sequences: &[&mut Sequence]) -> bool {
    let metadata = pipeline.get_metadata();
    !pipeline.cache().is_hybrid()
        && !metadata.no_kv_cache
        && !metadata.is_xlora
        && (metadata.cache_engine.is_none() || pages::usable(pipeline))
        && !(crate::using_flash_attn() && pipeline.device().is_cuda())
        && sequences
            .iter()
            .all(|s| !s.return_raw_logits && !s.has_audios() && s.get_toks().len() == sequences[0].get_toks().len())
}

/// Runs `forward` after the known prefix, or over the whole prompt if there is none or its keys and values do not fit the cache.
pub(super) fn forward_after<P: Pipeline + ?Sized, T>(
    pipeline: &mut P,
    prefix: Option<&KnownPrefix>,
    forward: impl FnOnce(&mut P) -> Result<T>,
) -> Result<T> {
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            pages::clear_prefix();
        }
    }
    let Some(prefix) = prefix else { return forward(pipeline) };
    // A failure or panic here must not end the step, which may hold other requests. The taps see how many positions are skipped, and
    // edit the rows of the whole prompt if there are none.
    let fill = || {
        let layers = batch_layers(prefix)?;
        match pages::usable(pipeline) {
            true => {
                pages::set_prefix(layers);
                Ok(())
            }
            false => fill_cache(pipeline.cache(), layers),
        }
    };
    let filled = catch_unwind(AssertUnwindSafe(fill)).unwrap_or_else(|_| Err(Error::Msg("a panic".into())));
    if let Err(e) = filled {
        pages::clear_prefix();
        clear_cache(pipeline.cache());
        tracing::warn!("known keys and values could not be used, the whole prompt runs: {e}");
        return forward(pipeline);
    }
    let _reset = Reset;
    cut::with_cut(prefix.skipped, prefix.positions, || forward(pipeline))
}

/// Joins the prefixes of all rows to one batch, for each layer.
fn batch_layers(prefix: &KnownPrefix) -> Result<Vec<LayerKeysValues>> {
    let layers = prefix.keys_values.first().map_or(0, |row| row.layers.len());
    let layer = |index: usize| {
        let rows = prefix.keys_values.iter().map(|row| row.layers.get(index)?.as_ref());
        let Some(rows) = rows.collect::<Option<Vec<_>>>() else { return Ok(None) };
        let first = |t: &Tensor| t.narrow(2, 0, prefix.skipped);
        let k = rows.iter().map(|(k, _)| first(k)).collect::<Result<Vec<_>>>()?;
        let v = rows.iter().map(|(_, v)| first(v)).collect::<Result<Vec<_>>>()?;
        Ok(Some((Tensor::cat(&k, 0)?.contiguous()?, Tensor::cat(&v, 0)?.contiguous()?)))
    };
    (0..layers).map(layer).collect()
}

/// Writes the prefix into the model's cache, which is empty before a prompt.
fn fill_cache(cache: &EitherCache, layers: Vec<LayerKeysValues>) -> Result<()> {
    for (index, layer) in layers.into_iter().enumerate() {
        let Some((k, v)) = layer else { continue };
        let missing = || Error::Msg(format!("the model has no layer {index}"));
        match cache {
            EitherCache::Normal(_) => {
                cache.normal().0.get_mut(index).ok_or_else(missing)?.append(&k, &v)?;
            }
            EitherCache::Full(layers) => *layers.lock().get_mut(index).ok_or_else(missing)? = Some((k, v)),
            EitherCache::Hybrid(_) => return Err(Error::Msg("recurrent layers keep nothing by position".into())),
        }
    }
    Ok(())
}

fn clear_cache(cache: &EitherCache) {
    match cache {
        EitherCache::Normal(normal) => {
            normal.lock().unwrap_or_else(PoisonError::into_inner).0.iter_mut().for_each(KvCache::reset);
            normal.clear_poison();
        }
        EitherCache::Full(layers) => layers.lock().iter_mut().for_each(|layer| *layer = None),
        EitherCache::Hybrid(_) => {}
    }
}
