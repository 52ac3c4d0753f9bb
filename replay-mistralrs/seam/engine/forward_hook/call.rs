//! What a hook may do in a prompt step.
use std::sync::Arc;

use candle_core::Result;
use tokio::sync::mpsc::Sender;

use super::{
    keys_values::KeysValues,
    pass::{pass, Io},
    prefix::Beginning,
    prompt::{row, PromptRow},
    tap::LayerTap,
};
use crate::{
    pipeline::Pipeline,
    sequence::{Sequence, SequenceState, StopReason},
    Response, VideoInput,
};

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
