//! Helpers of the engine fixes.
use std::{
    any::Any,
    collections::{hash_map::DefaultHasher, BTreeMap, HashMap, VecDeque},
    hash::{Hash, Hasher},
    panic::{catch_unwind, AssertUnwindSafe},
    sync::{Arc, Mutex, PoisonError},
};

use candle_core::{DType, Device, Tensor};
use tokenizers::Tokenizer;

use crate::{
    kv_cache::{EitherCache, HybridCache, HybridLayerCache},
    pipeline::{ForwardInputsResult, Pipeline},
    sequence::{Sequence, SequenceState, StopReason},
    Response,
};

/// The Qwen families, whose processors and positions several fixes are about.
const IMAGE: &str = "<|image_pad|>";

fn has_media(sequence: &Sequence) -> bool {
    sequence.has_images()
        || sequence.has_audios()
        || sequence.has_videos()
        || !sequence.mm_features().is_empty()
}

/// Scheduler bucket: sequences share a batch only if their media have the same grids. Input processors concatenate the pixels of
/// a batch (unequal patch counts panic) and drop all images when one row has none; those of the families without grids
/// assume a prompt batch of one.
pub(crate) fn media_batch(sequence: &Sequence) -> u64 {
    let grid = sequence.multimodal.rope_img_grid_thw.as_ref();
    let grid = grid.and_then(|grid| grid.to_vec2::<u32>().ok());
    let mut hasher = DefaultHasher::new();
    match grid {
        Some(grid) => grid.hash(&mut hasher),
        None if has_media(sequence) && sequence.is_prompt() => sequence.id().hash(&mut hasher),
        None => return 0,
    }
    hasher.finish() | 1
}

/// The default scheduler can go on from a cached prefix only where neither images nor M-RoPE positions are involved.
pub(crate) fn may_reuse_prefix(sequence: &Sequence, special: &[&'static str]) -> bool {
    !has_media(sequence) && !special.contains(&IMAGE)
}

/// PagedAttention can where there are no media: its blocks do not end where they do.
pub(crate) fn may_reuse_blocks(sequence: &Mutex<Sequence>) -> bool {
    !has_media(&sequence.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Architectures that cannot go on from a cached prefix at all. The text is a `config.json`.
pub(crate) fn begins_at_zero(config: &str) -> bool {
    ["LlavaForConditionalGeneration", "LlavaNextForConditionalGeneration"].iter().any(|name| config.contains(name))
}

/// A prompt whose placeholders and images do not match one to one makes the input processor panic or splice wrong rows.
pub(crate) fn check_placeholders(
    sequence: &Sequence,
    special: &[&'static str],
    tokenizer: Option<&Tokenizer>,
) -> anyhow::Result<()> {
    const START: &str = "<|vision_start|>";
    if !special.contains(&IMAGE) || sequence.multimodal.has_changed_prompt {
        return Ok(());
    }
    let images = sequence.images().map_or(0, <[_]>::len);
    for tag in [IMAGE, START] {
        let Some(id) = tokenizer.and_then(|tokenizer| tokenizer.token_to_id(tag)) else { continue };
        let found = sequence.get_toks().iter().filter(|&&token| token == id).count();
        anyhow::ensure!(found == images, "the prompt holds {found} {tag} for {images} images");
    }
    Ok(())
}

/// Image preprocessing panics on some inputs; that may cost the one request, never the engine.
pub(crate) fn guarded<T>(f: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|panic| {
        let why = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        Err(anyhow::anyhow!("the inputs of this request cannot be processed: {why}"))
    })
}

/// The tokens of an expanded LLaVA prompt: the first placeholder of each image is the negative of the image's number.
pub(crate) fn with_image_markers(sequence: &Sequence) -> Vec<i64> {
    let mut tokens: Vec<i64> = sequence.get_toks().iter().map(|&token| i64::from(token)).collect();
    for (image, media) in sequence.mm_features().iter().enumerate() {
        if let Some(token) = tokens.get_mut(media.offset) {
            *token = -(image as i64 + 1);
        }
    }
    tokens
}

/// Empties what a hybrid cache holds for new prompts: the attention layers' scratch, and the recurrent states of these sequences alone.
pub(crate) fn reset_hybrid(cache: &mut HybridCache, sequences: &[&mut Sequence]) {
    for layer in &mut cache.caches {
        match layer {
            HybridLayerCache::Attention(layer) => layer.reset(),
            HybridLayerCache::Recurrent(pool) => {
                for slot in sequences.iter().filter_map(|sequence| sequence.recurrent_state_idx()) {
                    let _ = pool.reset_slot(slot);
                }
            }
        }
    }
}

/// The real forward of a step. A panic of the model becomes an error, and what it poisoned is as good as before: the caches that are
/// locked around its layer loop are emptied for every prompt and filled for every completion.
pub(crate) fn forward<P: Pipeline + ?Sized>(
    pipeline: &mut P,
    inputs: Box<dyn Any>,
    return_raw_logits: bool,
) -> candle_core::Result<ForwardInputsResult> {
    let run = catch_unwind(AssertUnwindSafe(|| pipeline.forward_inputs(inputs, return_raw_logits)));
    run.unwrap_or_else(|_| {
        match pipeline.cache() {
            EitherCache::Normal(cache) => cache.clear_poison(),
            EitherCache::Hybrid(cache) => cache.clear_poison(),
            EitherCache::Full(_) => {}
        }
        Err(candle_core::Error::Msg("the model failed on this prompt".into()))
    })
}

/// Names of images that are prepared together: each depends on all of them.
pub(crate) fn of_all_images(hashes: &[u64]) -> Vec<u64> {
    if hashes.len() < 2 {
        return hashes.to_vec();
    }
    let together = |hash: &u64| {
        let mut hasher = DefaultHasher::new();
        (hash, hashes).hash(&mut hasher);
        hasher.finish()
    };
    hashes.iter().map(together).collect()
}

/// Keys or values `[batch, heads, room, head_dim]` with as much room for positions as a batch of sequences of the same length has.
pub(crate) fn with_room_of(held: &Tensor, batch: &Tensor) -> Tensor {
    let (Ok(room), Ok(wanted)) = (held.dim(2), batch.dim(2)) else { return held.clone() };
    let fitted = match wanted.checked_sub(room) {
        Some(0) => return held.clone(),
        Some(missing) => held.pad_with_zeros(2, 0, missing),
        // What is cut off is room that nobody has used: their length is that of the sequence with the least.
        None => held.narrow(2, 0, wanted).and_then(|held| held.contiguous()),
    };
    fitted.unwrap_or_else(|_| held.clone())
}

/// A product in the model's own precision; bf16, which a CPU does not multiply, in f32.
pub(crate) fn matmul(a: &Tensor, b: &Tensor) -> candle_core::Result<Tensor> {
    if a.dtype() != DType::BF16 || !a.device().is_cpu() {
        return a.matmul(b);
    }
    a.to_dtype(DType::F32)?.matmul(&b.to_dtype(DType::F32)?)?.to_dtype(DType::BF16)
}

/// Multiples of `step`, the reciprocal of a whole number, from `start` to below `end`: each by a multiplication and rounded once, as
/// PyTorch does it. Sums of steps go astray.
pub(crate) fn fractions(start: f32, end: f32, step: f32, device: &Device) -> candle_core::Result<Tensor> {
    let parts = (1.0 / f64::from(step)).round();
    let first = (f64::from(start) * parts).round() as u32;
    let fractions = (first..).map(|part| (f64::from(part) / parts) as f32).take_while(|fraction| *fraction < end);
    Tensor::from_iter(fractions.collect::<Vec<_>>(), device)
}

/// Images `[images, channels, height, width]` of values from 0 to 255, bilinear, and averaged where they get smaller, as Pillow does it.
pub(crate) fn resized(images: &Tensor, height: usize, width: usize) -> candle_core::Result<Tensor> {
    let (count, channels, old_height, old_width) = images.dims4()?;
    let (dtype, device) = (images.dtype(), images.device());
    if (height, width) == (old_height, old_width) {
        return Ok(images.clone());
    }
    // The last axis, to whole numbers.
    let pass = |lines: Tensor, from: usize, to: usize| {
        let weights = Tensor::from_vec(resizing(from, to), (from, to), device)?;
        lines.reshape(((), from))?.matmul(&weights)?.round()
    };
    let wide = pass(images.to_dtype(DType::F32)?.contiguous()?, old_width, width)?;
    let upright = wide.reshape((count, channels, old_height, width))?.transpose(2, 3)?.contiguous()?;
    let resized = pass(upright, old_height, height)?.reshape((count, channels, width, height))?;
    resized.transpose(2, 3)?.contiguous()?.to_dtype(dtype)
}

/// `[from, to]`: how much of each pixel of a line goes into each of the resized one.
fn resizing(from: usize, to: usize) -> Vec<f32> {
    let scale = from as f64 / to as f64;
    let reach = scale.max(1.0);
    let mut weights = vec![0f32; from * to];
    for new in 0..to {
        let centre = (new as f64 + 0.5) * scale;
        let weight = |old: usize| (1.0 - ((old as f64 + 0.5 - centre) / reach).abs()).max(0.0);
        let sum: f64 = (0..from).map(weight).sum();
        for old in 0..from {
            weights[old * to + new] = (weight(old) / sum) as f32;
        }
    }
    weights
}

/// What experts make of `xs`, `[batch, positions, hidden]`, that the router weights, `weights` being `[rows, chosen]`, before they see them:
/// what they do is not linear. `experts` takes rows, and the weights of what it gives for them.
pub(crate) fn weighted_inputs(
    xs: &Tensor,
    weights: &Tensor,
    experts: impl Fn(&Tensor, Tensor) -> candle_core::Result<Tensor>,
) -> candle_core::Result<Tensor> {
    let (batch, positions, _) = xs.dims3()?;
    let chosen = weights.dim(1)?;
    let one = |index: usize| -> candle_core::Result<Tensor> {
        let weight = weights.narrow(1, index, 1)?.reshape((batch, positions, 1))?.to_dtype(xs.dtype())?;
        let alone: Vec<f32> = (0..chosen).map(|other| if other == index { 1.0 } else { 0.0 }).collect();
        let alone = Tensor::new(alone, xs.device())?.to_dtype(weights.dtype())?;
        experts(&xs.broadcast_mul(&weight)?, alone.broadcast_as(weights.shape())?.contiguous()?)
    };
    (1..chosen).try_fold(one(0)?, |sum, index| sum + one(index)?)
}

/// What one more position of a sliding-window layer attends to, of keys and values `[batch, heads, positions, head_dim]` that are kept
/// whole. A prompt's positions have windows of their own, which is up to their mask.
pub(crate) fn within_window(
    k: Tensor,
    v: Tensor,
    positions: usize,
    window: Option<usize>,
) -> candle_core::Result<(Tensor, Tensor)> {
    let kept = k.dim(2)?;
    match window {
        Some(window) if positions == 1 && kept > window => {
            let last = |t: &Tensor| t.narrow(2, kept - window, window)?.contiguous();
            Ok((last(&k)?, last(&v)?))
        }
        _ => Ok((k, v)),
    }
}

/// Where the first placeholder stands that has not become a run of them yet; a run follows `begins`.
pub(crate) fn unexpanded(prompt: &str, placeholder: &str, begins: &str) -> Option<usize> {
    let mut found = prompt.match_indices(placeholder).map(|(at, _)| at);
    found.find(|&at| !prompt[..at].ends_with(begins) && !prompt[..at].ends_with(placeholder))
}

type Queue = VecDeque<Arc<Mutex<Sequence>>>;

/// Of the running completions those that decode now, which are of one length and share their media's grids, and the others, which keep
/// what they hold. The shortest go first, so that they catch up with longer ones and join them, unless some have waited for long. Those
/// whose clients went away end here.
pub(crate) fn decode_now(running: Queue, waited: &mut HashMap<usize, usize>) -> (Queue, Queue) {
    const STEPS_A_BUCKET: usize = 4;
    let mut buckets: BTreeMap<_, (usize, Queue)> = BTreeMap::new();
    let mut left = Queue::new();
    for sequence in running {
        let held = sequence.lock().unwrap_or_else(PoisonError::into_inner);
        if held.responder().is_closed() {
            held.set_state(SequenceState::Done(StopReason::Canceled));
            drop(held);
            left.push_back(sequence);
            continue;
        }
        held.set_state(SequenceState::RunningCompletion);
        let key = (held.len(), media_batch(&held), held.token_offset());
        let waits = waited.get(held.id()).copied().unwrap_or(0);
        drop(held);
        let (longest, bucket) = buckets.entry(key).or_default();
        *longest = waits.max(*longest);
        bucket.push_back(sequence);
    }
    let patience = STEPS_A_BUCKET * buckets.len();
    let late = buckets.iter().filter(|(_, (waits, _))| *waits >= patience).max_by_key(|(_, (waits, _))| *waits);
    let next = late.or_else(|| buckets.first_key_value()).map(|(key, _)| *key);
    let now = next.and_then(|key| buckets.remove(&key)).map(|(_, bucket)| bucket).unwrap_or_default();
    let mut later: Queue = buckets.into_values().flat_map(|(_, bucket)| bucket).collect();
    let id = |sequence: &Arc<Mutex<Sequence>>| *sequence.lock().unwrap_or_else(PoisonError::into_inner).id();
    for sequence in &now {
        waited.remove(&id(sequence));
    }
    for sequence in &later {
        *waited.entry(id(sequence)).or_default() += 1;
    }
    later.append(&mut left);
    (now, later)
}

/// Ends a sequence that the cache has no room for.
pub(crate) fn without_room(sequence: &Mutex<Sequence>) {
    let sequence = sequence.lock().unwrap_or_else(PoisonError::into_inner);
    let (tokens, prompt) = (sequence.len(), sequence.prompt_tokens());
    let why = if tokens == prompt {
        Response::ValidationError(format!("the cache for keys and values has no room for a prompt of {tokens} tokens").into())
    } else {
        let why = format!("the cache for keys and values has no room for {tokens} tokens, {prompt} of them the prompt's");
        Response::InternalError(why.into())
    };
    if sequence.responder().try_send(why).is_err() {
        tracing::warn!("a request that the cache had no room for could not be told so");
    }
    sequence.set_state(SequenceState::FinishedIgnored);
}
