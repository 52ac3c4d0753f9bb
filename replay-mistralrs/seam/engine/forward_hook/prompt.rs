//! What a hook sees of the sequences that are about to be prefilled.
use std::{
    any::Any,
    sync::{Arc, Weak},
};

use candle_core::{Result, Tensor};
use tokenizers::Tokenizer;
use tokio::sync::{mpsc::Sender, Mutex};

use super::{
    pass::pass,
    prefix::{Answered, Beginning, KeysValues},
    tap::LayerTap,
};
use crate::{
    pipeline::{Pipeline, Processor},
    sequence::{Sequence, SequenceGroup, SequenceState, StopReason},
    Response, VideoInput,
};

/// A piece of media in the prompt, as far as the engine knows (may be empty or partial for some families).
#[derive(Debug, Clone)]
pub struct MediaSpan {
    /// The engine's own name of the content. It ignores an image's width and height: do not key anything by it.
    pub identifier: String,
    pub offset: usize,
    pub length: usize,
}

/// The request that a sequence answers. The `n` choices of one request share their prompt, and this.
#[derive(Debug, Clone)]
pub struct Request(Weak<Mutex<SequenceGroup>>);

impl Request {
    pub(super) fn of(sequence: &Sequence) -> Self {
        Self(sequence.group_handle())
    }

    pub fn is_over(&self) -> bool {
        self.0.strong_count() == 0
    }
}

impl PartialEq for Request {
    fn eq(&self, other: &Self) -> bool {
        self.0.ptr_eq(&other.0)
    }
}

/// One sequence of the batch.
#[derive(Debug, Clone)]
pub struct PromptRow {
    pub sequence: usize,
    pub request: Request,
    /// All its tokens.
    pub tokens: Vec<u32>,
    /// `tokens[prompt_len..]` were generated: a sequence is prefilled again, with what it has generated, after it was set aside.
    pub prompt_len: usize,
    /// The real forward sees the positions `tokens[cached..]`.
    pub cached: usize,
    pub images: usize,
    pub media: Vec<MediaSpan>,
    /// `[images, 3]`: frames, rows and columns in patches.
    pub image_grid_thw: Option<Vec<Vec<u32>>>,
    pub video_grid_thw: Option<Vec<Vec<u32>>>,
}

pub trait PromptHook: Send + Sync {
    /// Runs before the real prompt forward; the tap it returns sees that forward and may edit it.
    ///
    /// An error or a panic is logged and the prompt runs untouched, since an error of the step would hit every request: to fail
    /// one request, use [`PromptCall::fail`].
    fn before_prompt(&self, call: &mut PromptCall<'_, '_, '_>) -> Result<Option<Arc<dyn LayerTap>>>;

    /// A sequence of this pipeline has its whole answer (those that are given up are not told of).
    fn after_answer(&self, _: &mut Answered<'_>) {}

    /// Every model that the hook runs on has the hooked model's own encoders, on the same device and in the same precision, so that
    /// what one has encoded the others may use.
    fn shares_encoders(&self) -> bool {
        false
    }
}

pub(super) struct Io {
    pub(super) processor: Arc<dyn Processor>,
    pub(super) tokenizer: Option<Arc<Tokenizer>>,
    pub(super) config: Option<Arc<dyn Any>>,
}

pub(super) type OwnPass<'a> = dyn FnMut(&mut Sequence, Arc<dyn LayerTap>) -> Result<()> + 'a;

/// The sequences of one prompt step. `row` is an index into [`PromptCall::rows`], and into the batch of the real forward.
pub struct PromptCall<'a, 'batch, 'seq> {
    pub(super) sequences: &'batch mut [&'seq mut Sequence],
    pub(super) io: &'a Io,
    pub(super) own: &'a mut OwnPass<'a>,
    /// The real forward can begin after a prefix.
    pub(super) may_begin_later: bool,
    pub(super) beginning: Option<Beginning>,
}

impl PromptCall<'_, '_, '_> {
    pub fn rows(&self) -> Vec<PromptRow> {
        self.sequences.iter().map(|s| row(s)).collect()
    }

    /// The images as the request brought them (some families' processors take them out of the sequence at its prefill).
    pub fn images(&self, row: usize) -> &[image::DynamicImage] {
        self.sequences[row].images().unwrap_or(&[])
    }

    /// The videos as the request brought them.
    pub fn videos(&self, row: usize) -> &[VideoInput] {
        self.sequences[row].videos().unwrap_or(&[])
    }

    /// Where the answer goes. It identifies a request to whoever sent it (`Sender::same_channel`).
    pub fn responder(&self, row: usize) -> Sender<Response> {
        self.sequences[row].responder()
    }

    /// The client went away, or the engine was told to stop.
    pub fn cancelled(&self, row: usize) -> bool {
        self.responder(row).is_closed() || crate::should_terminate_engine_sequences()
    }

    /// Fails one request; the rest of the batch goes on.
    pub fn fail(&mut self, row: usize, why: &str) {
        let _ = self.responder(row).try_send(Response::InternalError(why.to_string().into()));
        self.sequences[row].set_state(SequenceState::Done(StopReason::Canceled));
    }

    /// Whether [`begin_after`](Self::begin_after) is possible for this batch.
    pub fn may_begin_later(&self) -> bool {
        self.may_begin_later
    }

    /// The real forward begins after so many positions, whose keys and values these are, row by row. Two positions at least must be left.
    pub fn begin_after(&mut self, known: Vec<Arc<KeysValues>>, skipped: usize) -> Result<()> {
        let positions = self.sequences.first().map_or(0, |s| s.get_toks().len());
        let whole = known.len() == self.sequences.len() && known.iter().all(|known| known.positions() >= skipped);
        if !self.may_begin_later || !whole || skipped == 0 || skipped + 2 > positions {
            candle_core::bail!("a batch of {} times {positions} positions cannot begin after {skipped}", known.len());
        }
        self.beginning = Some(Beginning { known, skipped, positions });
        Ok(())
    }

    /// A clean prompt pass of the hooked model over one sequence. Leaves no trace.
    pub fn run_self(&mut self, row: usize, tap: Arc<dyn LayerTap>) -> Result<()> {
        (self.own)(self.sequences[row], tap)
    }

    /// The same sequence, tokens and pixels, through another model. Leaves no trace in either.
    pub fn run_on(&mut self, row: usize, other: &mut dyn Pipeline, tap: Arc<dyn LayerTap>) -> Result<()> {
        pass(other, self.io, self.sequences[row], tap).map(drop)
    }
}

pub(super) fn row(s: &Sequence) -> PromptRow {
    let grid = |grid: &Option<Tensor>| grid.as_ref()?.to_vec2::<u32>().ok();
    PromptRow {
        sequence: *s.id(),
        request: Request::of(s),
        tokens: s.get_toks().to_vec(),
        prompt_len: s.prompt_tokens(),
        cached: s.prefix_cache_len(),
        images: s.images().map_or(0, <[_]>::len),
        media: s
            .mm_features()
            .iter()
            .map(|f| MediaSpan { identifier: f.identifier.clone(), offset: f.offset, length: f.length })
            .collect(),
        image_grid_thw: grid(&s.multimodal.rope_img_grid_thw),
        video_grid_thw: grid(&s.multimodal.rope_vid_grid_thw),
    }
}
