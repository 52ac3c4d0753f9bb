//! Sets sequence and cache aside for a side pass, and restores them.
use std::sync::{Mutex, MutexGuard, PoisonError};

use candle_core::{Device, Result, Tensor};

use crate::{
    kv_cache::EitherCache,
    pipeline::Pipeline,
    sequence::{MultimodalData, Sequence},
};

/// Gives the sequence a copy of its media as they were before the first prompt step, with pixels on `device`; returns the real ones and
/// the cached length. Some input processors take the images out of the sequence, and the real forward still needs them.
pub(super) fn swap_media(sequence: &mut Sequence, device: &Device) -> Result<(MultimodalData, usize)> {
    let m = &sequence.multimodal;
    let mut copy = MultimodalData::new(m.clone_images(), m.clone_audios(), m.clone_videos(), None, None, None);
    copy.has_changed_prompt = m.has_changed_prompt;
    copy.cached_pixel_values = m.cached_pixel_values.as_ref().map(|pixels| pixels.to_device(device)).transpose()?;
    copy.cached_img_thw = m.cached_img_thw.clone();
    copy.cached_vid_thw = m.cached_vid_thw.clone();
    copy.rope_img_grid_thw = m.rope_img_grid_thw.clone();
    copy.rope_vid_grid_thw = m.rope_vid_grid_thw.clone();
    copy.set_mm_features(m.mm_features().to_vec());
    let cached = sequence.prefix_cache_len();
    sequence.set_prefix_cache_len(0);
    Ok((std::mem::replace(&mut sequence.multimodal, copy), cached))
}

/// Undoes [`swap_media`].
pub(super) fn restore_media(sequence: &mut Sequence, (media, cached): (MultimodalData, usize)) {
    sequence.multimodal = media;
    sequence.set_prefix_cache_len(cached);
}

/// Empties the model's cache for a pass over one sequence, and returns what restores it. `reset` drops or replaces a cache's storage,
/// so the shallow clone keeps its content.
pub(super) fn swap_cache<P: Pipeline + ?Sized>(pipeline: &P) -> Box<dyn FnOnce()> {
    match pipeline.cache().clone() {
        EitherCache::Normal(cache) => {
            let saved = lock(&cache).clone();
            lock(&cache).0.iter_mut().for_each(|layer| layer.reset());
            Box::new(move || restore(&cache, saved))
        }
        EitherCache::Full(cache) => {
            let saved = cache.lock().clone();
            cache.lock().iter_mut().for_each(|layer| *layer = None);
            Box::new(move || *cache.lock() = saved)
        }
        EitherCache::Hybrid(cache) => {
            let mut hybrid = lock(&cache);
            let saved = hybrid.clone();
            hybrid.reset();
            // An early return after `reset` would lose the cache, so errors are ignored.
            let device = hybrid.caches.iter().find_map(|c| c.as_recurrent_pool().map(|r| r.device().clone()));
            if let (Some(slot), Some(device)) = (hybrid.allocate_seq(), device) {
                hybrid.set_state_indices(Tensor::from_vec(vec![slot as u32], (1,), &device).ok());
            }
            drop(hybrid);
            Box::new(move || restore(&cache, saved))
        }
    }
}

fn lock<T>(cache: &Mutex<T>) -> MutexGuard<'_, T> {
    cache.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Restores the cache and clears the poison that a model leaves on its lock if it panicked in a side pass: the content is replaced, and
/// the real forward must not panic on the lock.
fn restore<T>(cache: &Mutex<T>, saved: T) {
    *lock(cache) = saved;
    cache.clear_poison();
}
