//! A prompt whose forward begins after a prefix, the keys and values of which are known.
//!
//! The model prepares the whole prompt as ever (embeddings with images in their places, positions, masks); what it has prepared is cut
//! to the rows after the prefix where it enters the decoder layers. So images, positions of three dimensions and batches stay the
//! model's own business, and scheduler and input processors see an ordinary prompt.
use std::sync::Arc;

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

/// Where the forward of a batch begins.
pub(crate) struct Beginning {
    /// Of each row of the batch.
    pub(super) known: Vec<Arc<KeysValues>>,
    /// Positions that are left out.
    pub(super) skipped: usize,
    /// Positions of the whole prompt.
    pub(super) positions: usize,
}

/// Whether a forward of these sequences can begin later: their positions are as many, nothing asks for logits of all of them, and the
/// model keeps keys and values by position.
pub(super) fn possible<P: Pipeline + ?Sized>(pipeline: &P, sequences: &[&mut Sequence]) -> bool {
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

/// Runs the real forward from where it begins.
pub(super) fn begin<P: Pipeline + ?Sized, T>(
    pipeline: &mut P,
    beginning: Option<&Beginning>,
    forward: impl FnOnce(&mut P) -> Result<T>,
) -> Result<T> {
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            pages::forget();
        }
    }
    let Some(beginning) = beginning else { return forward(pipeline) };
    let filled = prefix_of(beginning).and_then(|layers| match pages::usable(pipeline) {
        true => {
            pages::know(layers);
            Ok(())
        }
        false => fill(pipeline.cache(), layers),
    });
    if let Err(e) = filled {
        clear(pipeline.cache());
        tracing::warn!("known keys and values could not be used, the whole prompt runs: {e}");
        return forward(pipeline);
    }
    let _reset = Reset;
    cut::with_cut(beginning.skipped, beginning.positions, || forward(pipeline))
}

/// Keys and values of the prefix, of the whole batch, layer by layer.
fn prefix_of(beginning: &Beginning) -> Result<Vec<LayerKeysValues>> {
    let layers = beginning.known.first().map_or(0, |known| known.layers.len());
    let layer = |index: usize| {
        let rows = beginning.known.iter().map(|known| known.layers.get(index)?.as_ref());
        let Some(rows) = rows.collect::<Option<Vec<_>>>() else { return Ok(None) };
        let first = |t: &Tensor| t.narrow(2, 0, beginning.skipped);
        let k = rows.iter().map(|(k, _)| first(k)).collect::<Result<Vec<_>>>()?;
        let v = rows.iter().map(|(_, v)| first(v)).collect::<Result<Vec<_>>>()?;
        Ok(Some((Tensor::cat(&k, 0)?.contiguous()?, Tensor::cat(&v, 0)?.contiguous()?)))
    };
    (0..layers).map(layer).collect()
}

/// The model's cache, empty before a prompt, as if the prefix had just run.
fn fill(cache: &EitherCache, layers: Vec<LayerKeysValues>) -> Result<()> {
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

fn clear(cache: &EitherCache) {
    match cache {
        EitherCache::Normal(_) => cache.normal().0.iter_mut().for_each(KvCache::reset),
        EitherCache::Full(layers) => layers.lock().iter_mut().for_each(|layer| *layer = None),
        EitherCache::Hybrid(_) => {}
    }
}
