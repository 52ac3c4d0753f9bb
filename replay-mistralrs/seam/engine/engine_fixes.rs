//! Functions that the engine fixes call.
use std::{
    any::Any,
    collections::{hash_map::DefaultHasher, BTreeMap, HashMap, VecDeque},
    hash::{Hash, Hasher},
    panic::{catch_unwind, AssertUnwindSafe},
    sync::{Arc, Mutex, PoisonError},
};

use candle_core::{DType, Device, Tensor};
use image::{imageops::FilterType, DynamicImage, RgbImage};
use tokenizers::Tokenizer;

use crate::{
    kv_cache::{EitherCache, HybridCache, HybridLayerCache},
    pipeline::{ForwardInputsResult, Pipeline},
    sequence::{Sequence, SequenceState, StopReason},
    Response,
};

/// The image placeholder of the Qwen families. A processor with this special token is one of theirs.
const QWEN_IMAGE: &str = "<|image_pad|>";

fn has_media(sequence: &Sequence) -> bool {
    sequence.has_images() || sequence.has_audios() || sequence.has_videos() || !sequence.mm_features().is_empty()
}

/// The scheduler bucket of a sequence's media: sequences share a batch only if their media have the same grids. Input processors
/// concatenate the pixels of a batch (unequal patch counts panic) and drop all images if one row has none. Those of families without
/// grids expect prompt batches of one.
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

/// Whether the default scheduler may continue from a cached prefix: not with media, nor with M-RoPE positions.
pub(crate) fn may_reuse_prefix(sequence: &Sequence, special: &[&'static str]) -> bool {
    !has_media(sequence) && !special.contains(&QWEN_IMAGE)
}

/// Whether PagedAttention may continue from cached blocks: not with media, since a block may end inside an image.
pub(crate) fn may_reuse_blocks(sequence: &Mutex<Sequence>) -> bool {
    !has_media(&sequence.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Whether the architecture in this `config.json` cannot continue from a cached prefix.
pub(crate) fn begins_at_zero(config: &str) -> bool {
    ["LlavaForConditionalGeneration", "LlavaNextForConditionalGeneration"].iter().any(|name| config.contains(name))
}

/// Refuses a prompt whose placeholders and images differ in number: the input processor would panic or put images in wrong rows.
pub(crate) fn check_placeholders(
    sequence: &Sequence,
    special: &[&'static str],
    tokenizer: Option<&Tokenizer>,
) -> anyhow::Result<()> {
    const START: &str = "<|vision_start|>";
    if !special.contains(&QWEN_IMAGE) || sequence.multimodal.has_changed_prompt {
        return Ok(());
    }
    let images = sequence.images().map_or(0, <[_]>::len);
    for tag in [QWEN_IMAGE, START] {
        let Some(id) = tokenizer.and_then(|tokenizer| tokenizer.token_to_id(tag)) else { continue };
        let found = sequence.get_toks().iter().filter(|&&token| token == id).count();
        anyhow::ensure!(found == images, "the prompt holds {found} {tag} for {images} images");
    }
    Ok(())
}

/// Turns a panic of `f` into an error. Image preprocessing panics on some inputs, which must fail one request and not the engine.
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

/// The tokens of an expanded LLaVA prompt, with the first placeholder of image `n` (counted from 1) replaced by `-n`.
pub(crate) fn with_image_markers(sequence: &Sequence) -> Vec<i64> {
    let mut tokens: Vec<i64> = sequence.get_toks().iter().map(|&token| i64::from(token)).collect();
    for (image, media) in sequence.mm_features().iter().enumerate() {
        if let Some(token) = tokens.get_mut(media.offset) {
            *token = -(image as i64 + 1);
        }
    }
    tokens
}

/// Resets a hybrid cache for new prompts: the attention layers' cache of the running batch, and the recurrent states of these sequences.
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

/// Runs the forward of a step. A panic of the model becomes an error, and the poison on its caches' locks is cleared: every prompt step
/// empties these caches, and every completion step fills them anew.
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

/// Hashes of images that the processor prepares together: each hash depends on all images.
pub(crate) fn of_all_images(hashes: &[u64]) -> Vec<u64> {
    if hashes.len() < 2 {
        return hashes.to_vec();
    }
    let joined = |hash: &u64| {
        let mut hasher = DefaultHasher::new();
        (hash, hashes).hash(&mut hasher);
        hasher.finish()
    };
    hashes.iter().map(joined).collect()
}

/// Pads or cuts keys or values, `[batch, heads, capacity, head_dim]`, to the capacity of the batch, whose sequences have the same length.
pub(crate) fn with_room_of(cached: &Tensor, batch: &Tensor) -> Tensor {
    let (Ok(capacity), Ok(wanted)) = (cached.dim(2), batch.dim(2)) else { return cached.clone() };
    let fitted = match wanted.checked_sub(capacity) {
        Some(0) => return cached.clone(),
        Some(missing) => cached.pad_with_zeros(2, 0, missing),
        // The positions cut off are unused: the sequences have the same length, which fits the smallest capacity.
        None => cached.narrow(2, 0, wanted).and_then(|cached| cached.contiguous()),
    };
    fitted.unwrap_or_else(|_| cached.clone())
}

/// Multiplies in the tensors' precision, or in f32 for bf16 on a CPU, where candle cannot multiply it.
pub(crate) fn matmul(a: &Tensor, b: &Tensor) -> candle_core::Result<Tensor> {
    if a.dtype() != DType::BF16 || !a.device().is_cpu() {
        return a.matmul(b);
    }
    a.to_dtype(DType::F32)?.matmul(&b.to_dtype(DType::F32)?)?.to_dtype(DType::BF16)
}

/// The multiples of `step` from `start` to below `end`; `step` is 1 over a whole number. Each one is computed by itself and rounded once,
/// as PyTorch does it: adding steps accumulates rounding errors.
pub(crate) fn fractions(start: f32, end: f32, step: f32, device: &Device) -> candle_core::Result<Tensor> {
    let parts = (1.0 / f64::from(step)).round();
    let first = (f64::from(start) * parts).round() as u32;
    let fractions = (first..).map(|part| (f64::from(part) / parts) as f32).take_while(|fraction| *fraction < end);
    Tensor::from_iter(fractions.collect::<Vec<_>>(), device)
}

/// Resizes images `[images, channels, height, width]` with values from 0 to 255, bilinear and antialiased as in Pillow.
pub(crate) fn resized(images: &Tensor, height: usize, width: usize) -> candle_core::Result<Tensor> {
    let (count, channels, old_height, old_width) = images.dims4()?;
    let (dtype, device) = (images.dtype(), images.device());
    if (height, width) == (old_height, old_width) {
        return Ok(images.clone());
    }
    // Pillow rounds after each axis.
    let resize_last = |lines: Tensor, from: usize, to: usize| {
        let weights = Tensor::from_vec(resize_weights(from, to), (from, to), device)?;
        lines.reshape(((), from))?.matmul(&weights)?.round()
    };
    let wide = resize_last(images.to_dtype(DType::F32)?.contiguous()?, old_width, width)?;
    let transposed = wide.reshape((count, channels, old_height, width))?.transpose(2, 3)?.contiguous()?;
    let resized = resize_last(transposed, old_height, height)?.reshape((count, channels, width, height))?;
    resized.transpose(2, 3)?.contiguous()?.to_dtype(dtype)
}

/// Resizes an image as Pillow does: one axis after the other, each rounded to whole values. Filters that pick a pixel are left alone.
pub(crate) fn resize_exact(image: &DynamicImage, width: u32, height: u32, filter: FilterType) -> DynamicImage {
    use fast_image_resize::{
        images::Image, FilterType as Filter, PixelType, ResizeAlg::Convolution, ResizeOptions, Resizer,
    };
    let filter = match filter {
        FilterType::Triangle => Filter::Bilinear,
        FilterType::CatmullRom => Filter::CatmullRom,
        FilterType::Lanczos3 => Filter::Lanczos3,
        FilterType::Nearest | FilterType::Gaussian => return image.resize_exact(width, height, filter),
    };
    if (image.width(), image.height()) == (width, height) {
        return image.clone();
    }
    let options = ResizeOptions::new().resize_alg(Convolution(filter));
    let pixels = image.to_rgb8();
    let resize = || {
        let original = Image::from_vec_u8(pixels.width(), pixels.height(), pixels.into_raw(), PixelType::U8x3).ok()?;
        let mut wide = Image::new(width, image.height(), PixelType::U8x3);
        let mut resized = Image::new(width, height, PixelType::U8x3);
        Resizer::new().resize(&original, &mut wide, &options).ok()?;
        Resizer::new().resize(&wide, &mut resized, &options).ok()?;
        RgbImage::from_raw(width, height, resized.into_vec())
    };
    match resize() {
        Some(resized) => resized.into(),
        // An image without pixels: the caller refuses it, as it would have before.
        None => image.resize_exact(width, height, image::imageops::FilterType::CatmullRom),
    }
}

/// The weight of each old pixel in each new pixel of a line, `[from, to]`.
fn resize_weights(from: usize, to: usize) -> Vec<f32> {
    let scale = from as f64 / to as f64;
    let support = scale.max(1.0);
    let mut weights = vec![0f32; from * to];
    for new in 0..to {
        let centre = (new as f64 + 0.5) * scale;
        let weight = |old: usize| (1.0 - ((old as f64 + 0.5 - centre) / support).abs()).max(0.0);
        let sum: f64 = (0..from).map(weight).sum();
        for old in 0..from {
            weights[old * to + new] = (weight(old) / sum) as f32;
        }
    }
    weights
}

/// Sums what the chosen experts compute from `xs`, `[batch, positions, hidden]`, multiplied by the router's `weights`, `[rows, chosen]`.
/// Experts are not linear, so multiplying their outputs instead would differ. `experts` takes inputs, and weights for its outputs.
pub(crate) fn weighted_inputs(
    xs: &Tensor,
    weights: &Tensor,
    experts: impl Fn(&Tensor, Tensor) -> candle_core::Result<Tensor>,
) -> candle_core::Result<Tensor> {
    let (batch, positions, _) = xs.dims3()?;
    let chosen = weights.dim(1)?;
    let output = |index: usize| -> candle_core::Result<Tensor> {
        let weight = weights.narrow(1, index, 1)?.reshape((batch, positions, 1))?.to_dtype(xs.dtype())?;
        let select: Vec<f32> = (0..chosen).map(|other| if other == index { 1.0 } else { 0.0 }).collect();
        let select = Tensor::new(select, xs.device())?.to_dtype(weights.dtype())?;
        experts(&xs.broadcast_mul(&weight)?, select.broadcast_as(weights.shape())?.contiguous()?)
    };
    (1..chosen).try_fold(output(0)?, |sum, index| sum + output(index)?)
}

/// The keys and values that a decoded position of a sliding-window layer attends to, out of the whole cache, `[batch, heads, positions,
/// head_dim]`. A prompt attends to the whole cache, and its mask applies the window.
pub(crate) fn within_window(
    k: Tensor,
    v: Tensor,
    positions: usize,
    window: Option<usize>,
) -> candle_core::Result<(Tensor, Tensor)> {
    let cached = k.dim(2)?;
    match window {
        Some(window) if positions == 1 && cached > window => {
            let last = |t: &Tensor| t.narrow(2, cached - window, window)?.contiguous();
            Ok((last(&k)?, last(&v)?))
        }
        _ => Ok((k, v)),
    }
}

/// Byte offset of the first placeholder that is not expanded yet. An expanded one is a run of placeholders that follows `begins`.
pub(crate) fn unexpanded(prompt: &str, placeholder: &str, begins: &str) -> Option<usize> {
    let mut found = prompt.match_indices(placeholder).map(|(at, _)| at);
    found.find(|&at| !prompt[..at].ends_with(begins) && !prompt[..at].ends_with(placeholder))
}

type Queue = VecDeque<Arc<Mutex<Sequence>>>;

/// Splits the running completions into those that decode in this step and those that wait and keep their cache. A batch has one length
/// and one media grid. The shortest sequences decode first, so that they catch up with longer ones and join their batch, unless a bucket
/// has waited too long. Sequences whose clients have disconnected are cancelled.
pub(crate) fn decode_now(running: Queue, waited: &mut HashMap<usize, usize>) -> (Queue, Queue) {
    const STEPS_A_BUCKET: usize = 4;
    let mut buckets: BTreeMap<_, (usize, Queue)> = BTreeMap::new();
    let mut cancelled = Queue::new();
    for sequence in running {
        let locked = sequence.lock().unwrap_or_else(PoisonError::into_inner);
        if locked.responder().is_closed() {
            locked.set_state(SequenceState::Done(StopReason::Canceled));
            drop(locked);
            cancelled.push_back(sequence);
            continue;
        }
        locked.set_state(SequenceState::RunningCompletion);
        let key = (locked.len(), media_batch(&locked), locked.token_offset());
        let waits = waited.get(locked.id()).copied().unwrap_or(0);
        drop(locked);
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
    later.append(&mut cancelled);
    (now, later)
}

/// Ends a sequence that does not fit the KV cache, and reports the reason to its client.
pub(crate) fn without_room(sequence: &Mutex<Sequence>) {
    let sequence = sequence.lock().unwrap_or_else(PoisonError::into_inner);
    let (tokens, prompt) = (sequence.len(), sequence.prompt_tokens());
    let why = if tokens == prompt {
        Response::ValidationError(
            format!("the cache for keys and values has no room for a prompt of {tokens} tokens").into(),
        )
    } else {
        let why =
            format!("the cache for keys and values has no room for {tokens} tokens, {prompt} of them the prompt's");
        Response::InternalError(why.into())
    };
    if sequence.responder().try_send(why).is_err() {
        tracing::warn!("a request that the cache had no room for could not be told so");
    }
    sequence.set_state(SequenceState::FinishedIgnored);
}
