//! Passes of a model that no engine runs yet, for checks at start-up.
use std::sync::Arc;

use candle_core::{Error, Result, Tensor};
use tokio::sync::{mpsc, Mutex};

use super::{
    keys_values::KeysValues,
    pages,
    pass::{inputs, pass, pass_from, Io},
    prefix::{self, Beginning},
    prompt::{row, PromptRow},
    tap::{Flow, LayerTap, Site},
};
use crate::{
    pipeline::Pipeline,
    sampler::Sampler,
    sequence::{SeqStepType, Sequence, SequenceGroup, SequenceRecognizer},
};

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
fn whole(pipeline: &mut dyn Pipeline, io: &Io, sequence: &mut Sequence) -> Result<(Tensor, Option<Arc<KeysValues>>)> {
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
    let io = Io::of(pipeline);
    if sequence.has_images() {
        // As the engine does when a request comes in: the first call expands the placeholders.
        inputs(pipeline, &io, &mut sequence)?;
    }
    Ok((io, sequence))
}
