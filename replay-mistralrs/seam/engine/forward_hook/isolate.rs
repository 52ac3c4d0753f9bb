//! A side pass leaves no trace: sequence and cache are set aside for it and put back.
use std::sync::{Mutex, MutexGuard, PoisonError};

use candle_core::{Device, Result, Tensor};

use crate::{
    kv_cache::EitherCache,
    pipeline::Pipeline,
    sequence::{MultimodalData, Sequence},
};

/// Swaps in the media as they were before the first prompt step: images present, nothing cached, pixels on the device of this
/// pass. Some input processors take the images out of the sequence on their second call, and the real forward needs them.
pub(super) fn park(sequence: &mut Sequence, device: &Device) -> Result<(MultimodalData, usize)> {
    let m = &sequence.multimodal;
    let mut scratch = MultimodalData::new(m.clone_images(), m.clone_audios(), m.clone_videos(), None, None, None);
    scratch.has_changed_prompt = m.has_changed_prompt;
    scratch.cached_pixel_values = m.cached_pixel_values.as_ref().map(|pixels| pixels.to_device(device)).transpose()?;
    scratch.cached_img_thw = m.cached_img_thw.clone();
    scratch.cached_vid_thw = m.cached_vid_thw.clone();
    scratch.rope_img_grid_thw = m.rope_img_grid_thw.clone();
    scratch.rope_vid_grid_thw = m.rope_vid_grid_thw.clone();
    scratch.set_mm_features(m.mm_features().to_vec());
    let cached = sequence.prefix_cache_len();
    sequence.set_prefix_cache_len(0);
    Ok((std::mem::replace(&mut sequence.multimodal, scratch), cached))
}

pub(super) fn unpark(sequence: &mut Sequence, (media, cached): (MultimodalData, usize)) {
    sequence.multimodal = media;
    sequence.set_prefix_cache_len(cached);
}

/// Empties the model's cache for a pass over one sequence and returns the undo. Every `reset` of a cache drops or replaces its
/// storage, so a shallow clone stays intact.
pub(super) fn isolate<P: Pipeline + ?Sized>(pipeline: &P) -> Box<dyn FnOnce()> {
    match pipeline.cache().clone() {
        EitherCache::Normal(cache) => {
            let kept = lock(&cache).clone();
            lock(&cache).0.iter_mut().for_each(|layer| layer.reset());
            Box::new(move || restore(&cache, kept))
        }
        EitherCache::Full(cache) => {
            let kept = cache.lock().clone();
            cache.lock().iter_mut().for_each(|layer| *layer = None);
            Box::new(move || *cache.lock() = kept)
        }
        EitherCache::Hybrid(cache) => {
            let mut hybrid = lock(&cache);
            let kept = hybrid.clone();
            hybrid.reset();
            // No `?` between the reset and the undo.
            let device = hybrid.caches.iter().find_map(|c| c.as_recurrent_pool().map(|r| r.device().clone()));
            if let (Some(slot), Some(device)) = (hybrid.allocate_seq(), device) {
                hybrid.set_state_indices(Tensor::from_vec(vec![slot as u32], (1,), &device).ok());
            }
            drop(hybrid);
            Box::new(move || restore(&cache, kept))
        }
    }
}

fn lock<T>(cache: &Mutex<T>) -> MutexGuard<'_, T> {
    cache.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A model that panicked in a side pass has poisoned the lock around its layer loop; what it left behind is replaced, so the lock
/// is as good as before, and the real forward does not panic on it.
fn restore<T>(cache: &Mutex<T>, kept: T) {
    *lock(cache) = kept;
    cache.clear_poison();
}
