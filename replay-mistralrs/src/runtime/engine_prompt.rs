//! The replay backend of this engine: one prompt that is about to be prefilled.
use std::ops::Range;
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use mistralrs_core::forward_hook::PromptCall;
use replay_core::learned::{Differentiable, Progress};
use replay_core::lens::LogitLens;
use replay_core::substitute::Edits;
use replay_core::{Activations, Error, Exactness, PairInfo, PromptMap, ReplayBackend, Result, Role, RowSet};
use tokio::sync::mpsc::UnboundedSender;

use crate::runtime::capture_tap::CaptureTap;
use crate::runtime::decoder_span::{decoder_span, required_residuals, visual_span};
use crate::runtime::replay_pair::ReplayPair;

/// One sequence that is about to be prefilled.
pub(crate) struct EnginePrompt<'c, 'a, 'batch, 'seq> {
    pub(crate) pair: &'c ReplayPair,
    pub(crate) call: &'c mut PromptCall<'a, 'batch, 'seq>,
    /// The index of the sequence in the batch.
    pub(crate) row: usize,
    pub(crate) map: PromptMap,
    /// The edits of the real prefill, once [`ReplayBackend::substitute`] has set them.
    pub(crate) edits: Option<Arc<Edits>>,
    /// Receives the progress of learning.
    pub(crate) progress: Option<UnboundedSender<Progress>>,
}

#[async_trait(?Send)]
impl ReplayBackend for EnginePrompt<'_, '_, '_, '_> {
    fn pair(&self) -> &PairInfo {
        &self.pair.info
    }

    fn prompt(&self) -> &PromptMap {
        &self.map
    }

    /// Side passes run one sequence at a time, so concurrent requests do not change their results.
    fn exactness(&self) -> Exactness {
        Exactness::Bits
    }

    async fn capture(&mut self, role: Role, layers: &[usize], rows: &RowSet) -> Result<Activations> {
        if self.call.cancelled(self.row) {
            return Err(Error::Cancelled);
        }
        let tap = Arc::new(CaptureTap::for_rows(layers, rows.clone()));
        let pass = match role {
            Role::Rlvr => self.call.run_self(self.row, tap.clone()),
            Role::Base => {
                let base = self.pair.base.lock().unwrap_or_else(PoisonError::into_inner);
                let mut base = base.try_lock().map_err(Error::engine)?;
                self.call.run_on(self.row, &mut *base, tap.clone())
            }
        };
        pass.map_err(|e| Error::engine(format!("the {role} pass failed: {e}")))?;
        tap.take_activations(role)
    }

    async fn capture_edited(
        &mut self,
        layers: &[usize],
        rows: &RowSet,
        edits: Arc<Edits>,
    ) -> Result<Option<Activations>> {
        let tap = Arc::new(CaptureTap::for_rows(layers, rows.clone()).with_edits(edits));
        let pass = self.call.run_self(self.row, tap.clone());
        pass.map_err(|e| Error::engine(format!("the edited pass failed: {e}")))?;
        tap.take_activations(Role::Rlvr).map(Some)
    }

    fn lens(&self, role: Role) -> Arc<dyn LogitLens> {
        match role {
            Role::Base => self.pair.base_lens.clone(),
            Role::Rlvr => self.pair.rlvr_lens.clone(),
        }
    }

    async fn differentiable(&mut self, role: Role, layers: Range<usize>) -> Result<Option<Box<dyn Differentiable>>> {
        let Some(decoders) = &self.pair.decoders else { return Ok(None) };
        let decoder = match role {
            Role::Base => decoders.base.decoder.clone(),
            Role::Rlvr => decoders.rlvr.decoder.clone(),
        };
        // Attention of the span reads the rows before it, so they are captured too; rows after it cannot influence the loss.
        let rows = RowSet::all(visual_span(&self.map).end);
        let captured = self.capture(role, &required_residuals(&decoder, &layers), &rows).await?;
        Ok(Some(Box::new(decoder_span(&decoder, &self.map, layers, &captured)?)))
    }

    fn progress(&mut self, progress: Progress) -> bool {
        if let Some(sender) = &self.progress {
            let _ = sender.send(progress);
        }
        !self.call.cancelled(self.row)
    }

    async fn substitute(&mut self, edits: Arc<Edits>) -> Result<()> {
        self.edits = Some(edits);
        Ok(())
    }
}
