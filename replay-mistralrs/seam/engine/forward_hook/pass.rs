//! Side passes: a prompt through a model, clean, leaving no trace in sequences or caches.
use std::{
    any::Any,
    panic::{catch_unwind, AssertUnwindSafe},
    sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError},
};

use candle_core::{Device, Error, Result, Tensor};
use tokio::sync::{mpsc, Mutex};

use super::{
    attach::hook_of,
    encodings, pages,
    prefix::{self, Beginning, KeysValues, LayerKeysValues},
    prompt::{row, Io, PromptCall, PromptRow},
    tap::{side_pass, with_tap, Flow, LayerTap, Site},
};
use crate::{
    kv_cache::EitherCache,
    pipeline::{CacheBackendMetadata, ForwardInputsResult, InputProcessorOutput, Pipeline},
    sampler::Sampler,
    sequence::{MultimodalData, SeqStepType, Sequence, SequenceGroup, SequenceRecognizer},
};

/// What a hook has the real forward of a step do.
#[derive(Default)]
pub(crate) struct Prepared {
    tap: Option<Arc<dyn LayerTap>>,
    beginning: Option<Beginning>,
}

/// The real forward of a step.
pub(crate) fn forward<P: Pipeline + ?Sized>(
    pipeline: &mut P,
    prepared: &Prepared,
    inputs: Box<dyn Any>,
    return_raw_logits: bool,
) -> Result<ForwardInputsResult> {
    with_tap(prepared.tap.clone(), || {
        prefix::begin(pipeline, prepared.beginning.as_ref(), |pipeline| {
            crate::engine_fixes::forward(pipeline, inputs, return_raw_logits)
        })
    })
}

/// Lets the hook of this pipeline, if there is one, look at the prompts that are about to run.
pub(crate) fn prepare<P: Pipeline + ?Sized>(
    pipeline: &mut P,
    sequences: &mut [&mut Sequence],
    is_prompt: bool,
    backend: &CacheBackendMetadata,
) -> Prepared {
    pages::begin_step(backend);
    // A step that failed between its side passes and its forward left what they shared.
    encodings::end();
    if !is_prompt {
        return Prepared::default();
    }
    let Some(hook) = hook_of(&pipeline.get_metadata()) else { return Prepared::default() };
    // A prefix hit of the default scheduler shows only the suffix of the prompt, without its images: it cannot be run again.
    if sequences.iter().any(|s| s.token_offset() != 0) {
        return Prepared::default();
    }
    encodings::begin(hook.shares_encoders());
    let io = Io {
        processor: pipeline.get_processor(),
        tokenizer: pipeline.tokenizer(),
        config: pipeline.get_input_processor_config(),
    };
    let may_begin_later = prefix::possible(pipeline, sequences);
    let mut own = |s: &mut Sequence, tap: Arc<dyn LayerTap>| pass(pipeline, &io, s, tap).map(drop);
    let mut call = PromptCall { sequences, io: &io, own: &mut own, may_begin_later, beginning: None };
    match catch_unwind(AssertUnwindSafe(|| hook.before_prompt(&mut call))) {
        Ok(Ok(tap)) => Prepared { tap, beginning: call.beginning },
        Ok(Err(e)) => {
            tracing::warn!("forward hook failed, the prompt runs without it: {e}");
            Prepared::default()
        }
        Err(_) => {
            tracing::warn!("forward hook panicked, the prompt runs without it");
            Prepared::default()
        }
    }
}

/// The logits after the last position, `[1, 1, vocabulary]`, unless the tap stopped the pass.
pub(super) fn pass<P: Pipeline + ?Sized>(
    pipeline: &mut P,
    io: &Io,
    sequence: &mut Sequence,
    tap: Arc<dyn LayerTap>,
) -> Result<Option<Tensor>> {
    pass_from(pipeline, io, sequence, tap, None, |_, _| ())
        .map(|(logits, ())| logits)
}

/// The same, from where it begins; `after` sees the pipeline before the pass is undone, and what layers computed that keep keys and
/// values in pages.
fn pass_from<P: Pipeline + ?Sized, T>(
    pipeline: &mut P,
    io: &Io,
    sequence: &mut Sequence,
    tap: Arc<dyn LayerTap>,
    beginning: Option<&Beginning>,
    after: impl FnOnce(&P, Vec<LayerKeysValues>) -> T,
) -> Result<(Option<Tensor>, T)> {
    let parked = park(sequence, &pipeline.device())?;
    let inputs = inputs(pipeline, io, sequence);
    unpark(sequence, parked);
    let InputProcessorOutput { inputs, .. } = inputs?;
    let undo = isolate(pipeline);
    let run = |pipeline: &mut P| prefix::begin(pipeline, beginning, |pipeline| pipeline.forward_inputs(inputs, false));
    let (done, in_pages) = pages::record(pipeline, |pipeline| {
        catch_unwind(AssertUnwindSafe(|| side_pass(tap, || run(pipeline))))
    });
    let seen = after(pipeline, in_pages);
    undo();
    let done = done.unwrap_or_else(|_| Err(Error::Msg("the model panicked in a side pass".into())))?;
    let logits = match done {
        Some(ForwardInputsResult::CausalGeneration { logits }) => Some(logits),
        _ => None,
    };
    Ok((logits, seen))
}

fn inputs<P: Pipeline + ?Sized>(pipeline: &P, io: &Io, sequence: &mut Sequence) -> Result<InputProcessorOutput> {
    let metadata = pipeline.get_metadata();
    let inputs = crate::engine_fixes::guarded(|| {
        io.processor.inputs_processor().process_inputs(
            io.tokenizer.clone(),
            &mut [&mut *sequence],
            true,
            metadata.is_xlora,
            &pipeline.device(),
            metadata.no_kv_cache,
            None,
            false,
            metadata.sliding_window,
            io.config.clone(),
            None,
            pipeline.device_mapper(),
        )
    });
    inputs.map_err(Error::msg)
}

/// A prompt through a model that no engine runs yet: for checks at start-up. `tokens` hold one placeholder for each image; the row
/// tells what became of them. With it the logits after the last position, unless the tap stopped the pass.
pub fn probe(
    pipeline: &mut dyn Pipeline,
    tokens: Vec<u32>,
    images: Vec<image::DynamicImage>,
    tap: Arc<dyn LayerTap>,
) -> Result<(PromptRow, Option<Tensor>)> {
    let (io, mut sequence) = trial(pipeline, tokens, images)?;
    let logits = pass(pipeline, &io, &mut sequence, tap)?;
    Ok((row(&sequence), logits))
}

/// What a model says of the last position of a prompt.
pub struct Later {
    /// `[1, 1, vocabulary]`: when the whole prompt runs.
    pub whole: Tensor,
    /// When it begins after its own first position, and after all but its last two.
    pub after_its_own: Vec<Tensor>,
    /// When it begins after what it has in common with an earlier prompt, with keys and values of that one.
    pub after_another: Tensor,
}

/// The same from where it begins; `None` if this pipeline's forward cannot begin later. Tokens and images of the prompt, and of the earlier
/// one.
pub fn probe_later(
    pipeline: &mut dyn Pipeline,
    (tokens, images): (Vec<u32>, Vec<image::DynamicImage>),
    (earlier_tokens, earlier_images): (Vec<u32>, Vec<image::DynamicImage>),
) -> Result<Option<Later>> {
    let (io, mut sequence) = trial(pipeline, tokens, images)?;
    let (_, mut earlier) = trial(pipeline, earlier_tokens, earlier_images)?;
    if !prefix::possible(pipeline, &[&mut sequence]) {
        return Ok(None);
    }
    let (_, other) = whole(pipeline, &io, &mut earlier)?;
    let (whole, own) = whole(pipeline, &io, &mut sequence)?;
    let (Some(own), Some(other)) = (own, other) else { return Ok(None) };
    let positions = sequence.get_toks().len();
    let common = earlier.get_toks().iter().zip(sequence.get_toks()).take_while(|(a, b)| a == b).count();
    let mut after = |known: Arc<KeysValues>, skipped: usize| {
        let beginning = Beginning { known: vec![known], skipped: skipped.clamp(1, positions.max(3) - 2), positions };
        let (logits, ()) = pass_from(pipeline, &io, &mut sequence, Arc::new(Unseen), Some(&beginning), |_, _| ())?;
        logits.ok_or_else(|| Error::Msg("a pass gave no logits".into()))
    };
    let after_its_own = vec![after(own.clone(), 1)?, after(own, positions)?];
    Ok(Some(Later { whole, after_its_own, after_another: after(other, common)? }))
}

/// The logits after the last position, and all keys and values.
fn whole(
    pipeline: &mut dyn Pipeline,
    io: &Io,
    sequence: &mut Sequence,
) -> Result<(Tensor, Option<Arc<KeysValues>>)> {
    let (logits, known) = pass_from(pipeline, io, sequence, Arc::new(Unseen), None, |pipeline, in_pages| {
        match pages::usable(pipeline) {
            true => KeysValues::copied(in_pages),
            false => KeysValues::of_cache(pipeline.cache()),
        }
    })?;
    let logits = logits.ok_or_else(|| Error::Msg("a pass gave no logits".into()))?;
    Ok((logits, known?.map(Arc::new)))
}

/// Looks away.
struct Unseen;

impl LayerTap for Unseen {
    fn layer_input(&self, _: Site, _: &Tensor) -> Result<Flow> {
        Ok(Flow::Continue)
    }

    fn ignored(&self, _: Site, _: &str) {}
}

/// A sequence as the engine makes one of a request.
fn trial(pipeline: &dyn Pipeline, tokens: Vec<u32>, images: Vec<image::DynamicImage>) -> Result<(Io, Sequence)> {
    let images = Some(images).filter(|images| !images.is_empty());
    // One family expands the text of the prompt, not its tokens.
    let text = pipeline.tokenizer().and_then(|tokenizer| tokenizer.decode(&tokens, false).ok()).unwrap_or_default();
    let (responder, _) = mpsc::channel(1);
    let sampler = Sampler::new(None, 0, None, None, None, None, None, -1, 1.0, 0.0, vec![]);
    let group = Arc::new(Mutex::new(SequenceGroup::new(1, false, true, None)));
    let mut sequence = Sequence::new_waiting(
        tokens,
        text,
        0,
        0,
        pipeline.get_metadata().num_hidden_layers,
        responder,
        sampler.map_err(Error::msg)?,
        vec![],
        vec![],
        None,
        false,
        false,
        group,
        0,
        0,
        SequenceRecognizer::None,
        None,
        None,
        images,
        None,
        None,
        None,
        None,
        None,
        SeqStepType::PromptAndDecode,
        None,
        None,
        None,
        false,
        vec![],
    );
    let io = Io {
        processor: pipeline.get_processor(),
        tokenizer: pipeline.tokenizer(),
        config: pipeline.get_input_processor_config(),
    };
    if sequence.has_images() {
        // As the engine does when a request comes in: the first call expands the placeholders.
        inputs(pipeline, &io, &mut sequence)?;
    }
    Ok((io, sequence))
}

/// Swaps in the media as they were before the first prompt step: images present, nothing cached, pixels on the device of this
/// pass. Some input processors take the images out of the sequence on their second call, and the real forward needs them.
fn park(sequence: &mut Sequence, device: &Device) -> Result<(MultimodalData, usize)> {
    let m = &sequence.multimodal;
    let mut scratch =
        MultimodalData::new(m.clone_images(), m.clone_audios(), m.clone_videos(), None, None, None);
    scratch.has_changed_prompt = m.has_changed_prompt;
    scratch.cached_pixel_values =
        m.cached_pixel_values.as_ref().map(|pixels| pixels.to_device(device)).transpose()?;
    scratch.cached_img_thw = m.cached_img_thw.clone();
    scratch.cached_vid_thw = m.cached_vid_thw.clone();
    scratch.rope_img_grid_thw = m.rope_img_grid_thw.clone();
    scratch.rope_vid_grid_thw = m.rope_vid_grid_thw.clone();
    scratch.set_mm_features(m.mm_features().to_vec());
    let cached = sequence.prefix_cache_len();
    sequence.set_prefix_cache_len(0);
    Ok((std::mem::replace(&mut sequence.multimodal, scratch), cached))
}

fn unpark(sequence: &mut Sequence, (media, cached): (MultimodalData, usize)) {
    sequence.multimodal = media;
    sequence.set_prefix_cache_len(cached);
}

/// Empties the model's cache for a pass over one sequence and returns the undo. Every `reset` of a cache drops or replaces its
/// storage, so a shallow clone stays intact.
fn isolate<P: Pipeline + ?Sized>(pipeline: &P) -> Box<dyn FnOnce()> {
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

fn lock<T>(cache: &StdMutex<T>) -> MutexGuard<'_, T> {
    cache.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A model that panicked in a side pass has poisoned the lock around its layer loop; what it left behind is replaced, so the lock
/// is as good as before, and the real forward does not panic on it.
fn restore<T>(cache: &StdMutex<T>, kept: T) {
    *lock(cache) = kept;
    cache.clear_poison();
}
