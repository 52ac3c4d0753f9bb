//! A prompt whose forward begins after a prefix, the keys and values of which are known.
//!
//! The model prepares the whole prompt as ever (embeddings with images in their places, positions, masks); what it has prepared is cut
//! to the rows after the prefix where it enters the decoder layers. So images, positions of three dimensions and batches stay the
//! model's own business, and scheduler and input processors see an ordinary prompt.
use std::{
    borrow::Cow,
    cell::Cell,
    panic::{catch_unwind, AssertUnwindSafe},
    sync::Arc,
};

use candle_core::{DType, Error, Result, Tensor};

use super::{attach::hook_of, pages, prompt::Request};
use crate::{
    kv_cache::{EitherCache, KvCache},
    pipeline::Pipeline,
    sequence::Sequence,
};

/// Keys and values of one layer, `None` if it keeps none of its own.
pub(super) type LayerKeysValues = Option<(Tensor, Tensor)>;

/// Keys and values of the first positions of one sequence: `[1, heads, positions, head_dim]` of every layer that keeps its own.
#[derive(Debug)]
pub struct KeysValues {
    layers: Vec<LayerKeysValues>,
    positions: usize,
}

impl KeysValues {
    pub fn positions(&self) -> usize {
        self.positions
    }

    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        let size = |t: &Tensor| (t.elem_count() * t.dtype().size_in_bytes()) as u64;
        self.layers.iter().flatten().map(|(k, v)| size(k) + size(v)).sum()
    }

    /// A copy of what a sequence has by now (its cache is written to in place). `None` if a layer has dropped its first positions.
    fn of_sequence(sequence: &mut Sequence) -> Result<Option<Self>> {
        if sequence.normal_cache().iter().any(Option::is_some) {
            Self::of_layers(sequence.normal_cache())
        } else {
            Self::copied(sequence.cache().to_vec())
        }
    }

    /// The same, of what the model's cache holds.
    pub(super) fn of_cache(cache: &EitherCache) -> Result<Option<Self>> {
        match cache {
            EitherCache::Normal(_) => {
                let layers: Vec<_> = cache.normal().0.iter().cloned().map(Some).collect();
                Self::of_layers(&layers)
            }
            EitherCache::Full(layers) => Self::copied(layers.lock().to_vec()),
            EitherCache::Hybrid(_) => Ok(None),
        }
    }

    fn of_layers(layers: &[Option<KvCache>]) -> Result<Option<Self>> {
        let mut held = Vec::with_capacity(layers.len());
        for layer in layers {
            let Some(own) = layer.as_ref().filter(|layer| !layer.is_shared()) else {
                held.push(None);
                continue;
            };
            if matches!(own, KvCache::Rotating { k, .. } if k.current_seq_len() > k.max_seq_len()) {
                return Ok(None);
            }
            let (Some(k), Some(v)) = (own.k()?, own.v()?) else { return Ok(None) };
            held.push(Some((k, v)));
        }
        Self::copied(held)
    }

    pub(super) fn copied(layers: Vec<LayerKeysValues>) -> Result<Option<Self>> {
        let mut lengths = layers.iter().flatten().map(|(k, _)| k.dim(2)).collect::<Result<Vec<_>>>()?;
        lengths.dedup();
        let &[positions] = lengths.as_slice() else { return Ok(None) };
        let copy = |(k, v): (Tensor, Tensor)| Ok((k.force_contiguous()?, v.force_contiguous()?));
        let layers = layers.into_iter().map(|layer| layer.map(copy).transpose()).collect::<Result<_>>()?;
        Ok(Some(Self { layers, positions }))
    }
}

/// A sequence that has its whole answer.
pub struct Answered<'a> {
    pipeline: &'a dyn Pipeline,
    sequence: &'a mut Sequence,
}

impl Answered<'_> {
    pub fn request(&self) -> Request {
        Request::of(self.sequence)
    }

    /// Prompt and answer. The last token may have no keys and values.
    pub fn tokens(&self) -> &[u32] {
        self.sequence.get_toks()
    }

    /// What is known of its positions, as a copy; `None` if not all of it is.
    pub fn keys_values(&mut self) -> Result<Option<KeysValues>> {
        match pages::usable(self.pipeline) {
            true => pages::of_sequence(self.pipeline, self.sequence),
            false => KeysValues::of_sequence(self.sequence),
        }
    }
}

/// Tells the hook of this pipeline, if there is one, that a sequence has its answer.
pub(crate) fn answered(pipeline: &dyn Pipeline, sequence: &mut Sequence) {
    let Some(hook) = hook_of(&pipeline.get_metadata()) else { return };
    let told = catch_unwind(AssertUnwindSafe(|| hook.after_answer(&mut Answered { pipeline, sequence })));
    if told.is_err() {
        tracing::warn!("forward hook panicked after an answer");
    }
}

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
        && sequences.iter().all(|s| {
            !s.return_raw_logits && !s.has_audios() && s.get_toks().len() == sequences[0].get_toks().len()
        })
}

#[derive(Clone, Copy)]
struct Active {
    skipped: usize,
    positions: usize,
    /// The rows have entered the decoder layers.
    inside: bool,
}

thread_local! {
    static ACTIVE: Cell<Option<Active>> = const { Cell::new(None) };
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
            ACTIVE.set(None);
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
    ACTIVE.set(Some(Active { skipped: beginning.skipped, positions: beginning.positions, inside: false }));
    let out = forward(pipeline)?;
    match ACTIVE.get() {
        Some(Active { inside: true, .. }) => Ok(out),
        _ => Err(Error::Msg("the model did not begin after the known prefix".into())),
    }
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

/// What enters a decoder layer, without the rows of the prefix. `[batch, positions, width]`, or `[streams, batch, positions, width]`.
pub(crate) fn entering(hidden: Tensor) -> Result<Tensor> {
    let Some(active) = ACTIVE.get() else { return Ok(hidden) };
    let axis = hidden.rank().saturating_sub(2);
    if hidden.rank() < 3 || hidden.dim(axis)? != active.positions {
        return Ok(hidden);
    }
    ACTIVE.set(Some(Active { inside: true, ..active }));
    hidden.narrow(axis, active.skipped, active.positions - active.skipped)?.contiguous()
}

/// A mask over the queries of a prompt, `[.., positions, keys]`.
pub(crate) fn later_queries(mask: Tensor) -> Result<Tensor> {
    let rank = mask.rank();
    match ACTIVE.get() {
        Some(Active { skipped, positions, inside: false }) if rank >= 2 && mask.dim(rank - 2)? == positions => {
            mask.narrow(rank - 2, skipped, positions - skipped)?.contiguous()
        }
        _ => Ok(mask),
    }
}

/// Positions of three dimensions, `[3, batch, positions]`.
pub(crate) fn later_positions(ids: &Tensor) -> Result<Tensor> {
    match ACTIVE.get() {
        Some(Active { skipped, positions, inside: false }) if ids.dims().last() == Some(&positions) => {
            ids.narrow(ids.rank() - 1, skipped, positions - skipped)
        }
        _ => Ok(ids.clone()),
    }
}

fn inside() -> Option<Active> {
    ACTIVE.get().filter(|active| active.inside)
}

/// Positions of the whole prompt, of which a layer sees so many.
#[allow(dead_code)]
pub(crate) fn whole_positions(seen: usize) -> usize {
    inside().map_or(seen, |active| active.positions)
}

/// The position of each sequence's first row, which the input processors take for 0.
pub(crate) fn later_offsets(offsets: &[usize]) -> Cow<'_, [usize]> {
    match inside() {
        Some(Active { skipped, .. }) => offsets.iter().map(|offset| offset + skipped).collect(),
        None => Cow::Borrowed(offsets),
    }
}

/// The rows whose logits are wanted: (first, how many) of each sequence.
pub(crate) fn later_logits(mut rows: Vec<(usize, usize)>) -> Result<Vec<(usize, usize)>> {
    if let Some(Active { skipped, .. }) = inside() {
        for (first, _) in &mut rows {
            let later = first.checked_sub(skipped);
            *first = later.ok_or_else(|| Error::Msg("logits of a row in the known prefix are wanted".into()))?;
        }
    }
    Ok(rows)
}

/// Rows of the mask that stand for positions before this prompt. Those of the prefix do not: the mask is made for the whole prompt.
pub(crate) fn before_prompt(kept: usize) -> usize {
    if ACTIVE.get().is_some() {
        0
    } else {
        kept
    }
}

/// Visual features that are added between layers: which rows, `[batch, positions]`, and what, `[rows, width]`.
pub(crate) fn later_features(rows: &Tensor, features: &Tensor) -> Result<(Tensor, Tensor)> {
    let Some(Active { skipped, positions, .. }) = inside() else { return Ok((rows.clone(), features.clone())) };
    let marks = rows.to_dtype(DType::U32)?.to_vec2::<u32>()?;
    let marked = marks.iter().flat_map(|row| row.iter().enumerate()).filter(|(_, mark)| **mark != 0);
    let later = marked.enumerate().filter(|(_, (position, _))| *position >= skipped).map(|(index, _)| index as u32);
    let later: Vec<u32> = later.collect();
    let rows = rows.narrow(1, skipped, positions - skipped)?.contiguous()?;
    let features = match later.is_empty() {
        true => features.narrow(0, 0, 0)?,
        false => features.index_select(&Tensor::new(later, features.device())?, 0)?,
    };
    Ok((rows, features))
}
