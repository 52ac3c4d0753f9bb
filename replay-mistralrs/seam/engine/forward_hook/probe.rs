//! Passes of a model before its engine starts, for checks at start-up.
use std::sync::Arc;

use candle_core::{Error, Result, Tensor};
use tokio::sync::{mpsc, Mutex};

use super::{
    keys_values::KeysValues,
    pages,
    pass::{process_inputs, run_pass, run_pass_after, InputContext},
    prefix::{self, KnownPrefix},
    prompt::{describe, PromptRow},
    tap::{Flow, LayerTap, Site},
};
use crate::{
    pipeline::Pipeline,
    sampler::Sampler,
    sequence::{SeqStepType, Sequence, SequenceGroup, SequenceRecognizer},
};

/// Runs a prompt through a model that no engine runs yet. `tokens` hold one placeholder for each image; the returned row has them
/// expanded. The logits are those after the last position, or `None` if the tap stopped the pass.
pub fn probe(
    pipeline: &mut dyn Pipeline,
    tokens: Vec<u32>,
    images: Vec<image::DynamicImage>,
    tap: Arc<dyn LayerTap>,
) -> Result<(PromptRow, Option<Tensor>)> {
    let (context, mut sequence) = new_sequence(pipeline, tokens, images)?;
    let logits = run_pass(pipeline, &context, &mut sequence, tap)?;
    Ok((describe(&sequence), logits))
}

/// Logits after the last position of a prompt, `[1, 1, vocabulary]`, computed in several ways.
pub struct Later {
    /// The model ran over the whole prompt.
    pub whole: Tensor,
    /// The forward skipped the prompt's first position, and all but its last two, with the prompt's own keys and values.
    pub after_its_own: Vec<Tensor>,
    /// The forward skipped the tokens that an earlier prompt begins with too, with the keys and values of that prompt.
    pub after_another: Tensor,
}

/// Runs a prompt as a whole and after known prefixes; `None` if the pipeline's forward cannot skip a prefix. Takes tokens and images of
/// the prompt and of an earlier one.
pub fn probe_later(
    pipeline: &mut dyn Pipeline,
    (tokens, images): (Vec<u32>, Vec<image::DynamicImage>),
    (earlier_tokens, earlier_images): (Vec<u32>, Vec<image::DynamicImage>),
) -> Result<Option<Later>> {
    let (context, mut sequence) = new_sequence(pipeline, tokens, images)?;
    let (_, mut earlier) = new_sequence(pipeline, earlier_tokens, earlier_images)?;
    if !prefix::supported(pipeline, &[&mut sequence]) {
        return Ok(None);
    }
    let (_, other) = run_whole(pipeline, &context, &mut earlier)?;
    let (whole, own) = run_whole(pipeline, &context, &mut sequence)?;
    let (Some(own), Some(other)) = (own, other) else { return Ok(None) };
    let positions = sequence.get_toks().len();
    let common = earlier.get_toks().iter().zip(sequence.get_toks()).take_while(|(a, b)| a == b).count();
    let mut after = |known: Arc<KeysValues>, skipped: usize| {
        let skipped = skipped.clamp(1, positions.max(3) - 2);
        let prefix = KnownPrefix { keys_values: vec![known], skipped, positions };
        let (logits, ()) =
            run_pass_after(pipeline, &context, &mut sequence, Arc::new(NoEdits), Some(&prefix), |_, _| ())?;
        logits.ok_or_else(|| Error::Msg("a pass gave no logits".into()))
    };
    let after_its_own = vec![after(own.clone(), 1)?, after(own, positions)?];
    Ok(Some(Later { whole, after_its_own, after_another: after(other, common)? }))
}

/// Runs the whole prompt, and returns the logits after the last position and the keys and values of all positions.
fn run_whole(
    pipeline: &mut dyn Pipeline,
    context: &InputContext,
    sequence: &mut Sequence,
) -> Result<(Tensor, Option<Arc<KeysValues>>)> {
    let (logits, known) = run_pass_after(
        pipeline,
        context,
        sequence,
        Arc::new(NoEdits),
        None,
        |pipeline, in_pages| match pages::usable(pipeline) {
            true => KeysValues::copy_from(in_pages),
            false => KeysValues::from_cache(pipeline.cache()),
        },
    )?;
    let logits = logits.ok_or_else(|| Error::Msg("a pass gave no logits".into()))?;
    Ok((logits, known?.map(Arc::new)))
}

/// A tap that edits nothing.
struct NoEdits;

impl LayerTap for NoEdits {
    fn layer_input(&self, _: Site, _: &Tensor) -> Result<Flow> {
        Ok(Flow::Continue)
    }

    fn ignored(&self, _: Site, _: &str) {}
}

/// Makes a sequence as the engine does for a request, with its placeholders expanded.
fn new_sequence(
    pipeline: &dyn Pipeline,
    tokens: Vec<u32>,
    images: Vec<image::DynamicImage>,
) -> Result<(InputContext, Sequence)> {
    let images = Some(images).filter(|images| !images.is_empty());
    // One family expands placeholders in the prompt's text, not in its tokens.
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
    let context = InputContext::of(pipeline);
    if sequence.has_images() {
        // The first call expands the placeholders; the engine makes it when a request arrives.
        process_inputs(pipeline, &context, &mut sequence)?;
    }
    Ok((context, sequence))
}
