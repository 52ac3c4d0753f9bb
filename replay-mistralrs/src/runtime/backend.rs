//! One prompt in mistral.rs, as the core sees it.
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use async_trait::async_trait;
use mistralrs_core::forward_hook::{PromptCall, PromptRow};
use replay_core::learned::{Differentiable, Progress};
use replay_core::lens::LogitLens;
use replay_core::session::Settings;
use replay_core::substitute::Edits;
use replay_core::{
    Activations, Error, Exactness, PairInfo, PromptMap, ReplayBackend, ReplayCache, Result, Role, RowSet,
};
use tokio::sync::mpsc::UnboundedSender;

use crate::config::table::EngineTable;
use crate::families::{Labels, Media};
use crate::models::load::LoadedPipeline;
use crate::runtime::decoder::EngineDecoder;
use crate::runtime::lens::EngineLens;
use crate::runtime::prefix::{needed, prefix, visual_span};
use crate::runtime::prefix_cache::PrefixCache;
use crate::runtime::tap::CaptureTap;

/// A pipeline and its base, ready to be replayed.
pub(crate) struct Bound {
    /// The settings of new requests.
    pub(crate) settings: RwLock<Settings>,
    /// How both models were loaded.
    pub(crate) table: EngineTable,
    pub(crate) pair: PairInfo,
    /// Two engines may share one base.
    pub(crate) base: Arc<Mutex<LoadedPipeline>>,
    pub(crate) base_lens: Arc<EngineLens>,
    pub(crate) rlvr_lens: Arc<EngineLens>,
    pub(crate) labels: Labels,
    /// Whether both models have the same vision tower, so that it runs once.
    pub(crate) one_encoder: bool,
    /// Bytes of the base's weights that both models share, and of all its weights.
    pub(crate) shared_bytes: (usize, usize),
    /// Both decoders with gradients, for strategy `learned`.
    pub(crate) decoders: Option<Decoders>,
    pub(crate) cache: ReplayCache,
    pub(crate) prefixes: Arc<PrefixCache>,
    /// Why no prefixes are kept, although the settings ask for it.
    pub(crate) no_prefixes: Option<String>,
    /// How the engine keeps keys and values, as a text for people.
    pub(crate) keys_values: String,
}

/// Both models' decoders, differentiable.
#[derive(Clone)]
pub(crate) struct Decoders {
    pub(crate) base: TestedDecoder,
    pub(crate) rlvr: TestedDecoder,
}

/// A decoder, and how far its residuals were from the engine's at start-up, relative to the largest.
#[derive(Clone)]
pub(crate) struct TestedDecoder {
    pub(crate) decoder: Arc<EngineDecoder>,
    pub(crate) distance: f32,
}

impl Bound {
    /// The settings as they are now.
    pub(crate) fn settings(&self) -> Settings {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The labelled rows of one sequence's prompt.
    pub(crate) fn map(&self, row: &PromptRow, media: Media<'_>) -> Result<PromptMap> {
        self.labels.label_prompt(row, media)
    }
}

/// One sequence that is about to be prefilled.
pub(crate) struct EnginePrompt<'c, 'a, 'batch, 'seq> {
    pub(crate) bound: &'c Bound,
    pub(crate) call: &'c mut PromptCall<'a, 'batch, 'seq>,
    pub(crate) row: usize,
    pub(crate) map: PromptMap,
    pub(crate) edits: Option<Arc<Edits>>,
    /// Receives the progress of learning.
    pub(crate) listener: Option<UnboundedSender<Progress>>,
}

#[async_trait(?Send)]
impl ReplayBackend for EnginePrompt<'_, '_, '_, '_> {
    fn pair(&self) -> &PairInfo {
        &self.bound.pair
    }

    fn prompt(&self) -> &PromptMap {
        &self.map
    }

    /// Side passes run one sequence at a time, so what else is running changes no bit of them.
    fn exactness(&self) -> Exactness {
        Exactness::Bits
    }

    async fn capture(&mut self, role: Role, layers: &[usize], rows: &RowSet) -> Result<Activations> {
        if self.call.cancelled(self.row) {
            return Err(Error::Cancelled);
        }
        let tap = Arc::new(CaptureTap::of_rows(layers, rows.clone()));
        let pass = match role {
            Role::Rlvr => self.call.run_self(self.row, tap.clone()),
            Role::Base => {
                let base = self.bound.base.lock().unwrap_or_else(PoisonError::into_inner);
                let mut base = base.try_lock().map_err(Error::engine)?;
                self.call.run_on(self.row, &mut *base, tap.clone())
            }
        };
        pass.map_err(|e| Error::engine(format!("the {role} pass failed: {e}")))?;
        tap.finish(role)
    }

    async fn capture_edited(
        &mut self,
        layers: &[usize],
        rows: &RowSet,
        edits: Arc<Edits>,
    ) -> Result<Option<Activations>> {
        let tap = Arc::new(CaptureTap::of_rows(layers, rows.clone()).editing(edits));
        let pass = self.call.run_self(self.row, tap.clone());
        pass.map_err(|e| Error::engine(format!("the edited pass failed: {e}")))?;
        tap.finish(Role::Rlvr).map(Some)
    }

    fn lens(&self, role: Role) -> Arc<dyn LogitLens> {
        match role {
            Role::Base => self.bound.base_lens.clone(),
            Role::Rlvr => self.bound.rlvr_lens.clone(),
        }
    }

    async fn differentiable(&mut self, role: Role, layers: Range<usize>) -> Result<Option<Box<dyn Differentiable>>> {
        let Some(decoders) = &self.bound.decoders else { return Ok(None) };
        let decoder = match role {
            Role::Base => decoders.base.decoder.clone(),
            Role::Rlvr => decoders.rlvr.decoder.clone(),
        };
        // Rows before the span are constant there, but they run too; rows after it matter to nothing.
        let rows = RowSet::all(visual_span(&self.map).end);
        let captured = self.capture(role, &needed(&decoder, &layers), &rows).await?;
        Ok(Some(Box::new(prefix(&decoder, &self.map, layers, &captured)?)))
    }

    fn progress(&mut self, progress: Progress) -> bool {
        if let Some(listener) = &self.listener {
            let _ = listener.send(progress);
        }
        !self.call.cancelled(self.row)
    }

    async fn substitute(&mut self, edits: Arc<Edits>) -> Result<()> {
        self.edits = Some(edits);
        Ok(())
    }
}
