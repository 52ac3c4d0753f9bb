//! One prompt step, as the hook sees it and may act on it.
use std::sync::Arc;

use candle_core::Result;
use tokio::sync::mpsc::Sender;

use super::{
    keys_values::KeysValues,
    pass::{run_pass, InputContext},
    prefix::KnownPrefix,
    prompt::{describe, PromptRow},
    tap::LayerTap,
};
use crate::{
    pipeline::Pipeline,
    sequence::{Sequence, SequenceState, StopReason},
    Response, VideoInput,
};

/// Runs a side pass of the hooked model.
pub(super) type SelfPass<'a> = dyn FnMut(&mut Sequence, Arc<dyn LayerTap>) -> Result<()> + 'a;

/// The sequences of one prompt step. A `row` is an index into [`PromptCall::rows`] and into the batch of the real forward.
pub struct PromptCall<'a, 'batch, 'seq> {
    pub(super) sequences: &'batch mut [&'seq mut Sequence],
    pub(super) context: &'a InputContext,
    pub(super) self_pass: &'a mut SelfPass<'a>,
    /// Whether the real forward can begin after a known prefix.
    pub(super) may_begin_later: bool,
    pub(super) prefix: Option<KnownPrefix>,
}

impl PromptCall<'_, '_, '_> {
    /// Describes each sequence of the batch.
    pub fn rows(&self) -> Vec<PromptRow> {
        self.sequences.iter().map(|s| describe(s)).collect()
    }

    /// The images of the request. Read them before the prefill: some input processors take them out of the sequence.
    pub fn images(&self, row: usize) -> &[image::DynamicImage] {
        self.sequences[row].images().unwrap_or(&[])
    }

    /// The videos of the request.
    pub fn videos(&self, row: usize) -> &[VideoInput] {
        self.sequences[row].videos().unwrap_or(&[])
    }

    /// The channel of the answer. A caller recognises its own request by it (`Sender::same_channel`).
    pub fn responder(&self, row: usize) -> Sender<Response> {
        self.sequences[row].responder()
    }

    /// Whether the client has disconnected or the engine was told to stop.
    pub fn cancelled(&self, row: usize) -> bool {
        self.responder(row).is_closed() || crate::should_terminate_engine_sequences()
    }

    /// Fails one request; the rest of the batch goes on.
    pub fn fail(&mut self, row: usize, why: &str) {
        let _ = self.responder(row).try_send(Response::InternalError(why.to_string().into()));
        self.sequences[row].set_state(SequenceState::Done(StopReason::Canceled));
    }

    /// Whether this batch supports [`begin_after`](Self::begin_after).
    pub fn may_begin_later(&self) -> bool {
        self.may_begin_later
    }

    /// Makes the real forward skip the first `skipped` positions and take their keys and values from `known`, one entry per row.
    ///
    /// # Errors
    /// If the batch does not support it, an entry has fewer positions, or fewer than two positions would be left to compute.
    pub fn begin_after(&mut self, known: Vec<Arc<KeysValues>>, skipped: usize) -> Result<()> {
        let positions = self.sequences.first().map_or(0, |s| s.get_toks().len());
        let whole = known.len() == self.sequences.len() && known.iter().all(|known| known.positions() >= skipped);
        if !self.may_begin_later || !whole || skipped == 0 || skipped + 2 > positions {
            candle_core::bail!("a batch of {} times {positions} positions cannot begin after {skipped}", known.len());
        }
        self.prefix = Some(KnownPrefix { keys_values: known, skipped, positions });
        Ok(())
    }

    /// Runs the hooked model over the prompt of one sequence, without edits other than the tap's. Sequence and caches stay unchanged.
    pub fn run_self(&mut self, row: usize, tap: Arc<dyn LayerTap>) -> Result<()> {
        (self.self_pass)(self.sequences[row], tap)
    }

    /// Runs another model over the same tokens and pixels. Sequence and caches of both models stay unchanged.
    pub fn run_on(&mut self, row: usize, other: &mut dyn Pipeline, tap: Arc<dyn LayerTap>) -> Result<()> {
        run_pass(other, self.context, self.sequences[row], tap).map(drop)
    }
}
