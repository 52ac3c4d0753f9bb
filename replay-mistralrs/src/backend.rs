//! One prompt in mistral.rs, as the core sees it.
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use mistralrs_core::forward_hook::{PromptCall, PromptRow};
use replay_core::lens::LogitLens;
use replay_core::substitute::Edits;
use replay_core::{Activations, Error, Grid, Image, PairInfo, PromptMap, ReplayBackend, Replayer, Result, Role};

use crate::lens::EngineLens;
use crate::load::Loaded;
use crate::tap::CaptureTap;

/// A pipeline and its base, ready to be replayed.
pub(crate) struct Bound {
    pub(crate) replayer: Replayer,
    pub(crate) pair: PairInfo,
    /// Two engines may share one base.
    pub(crate) base: Arc<Mutex<Loaded>>,
    pub(crate) base_lens: Arc<EngineLens>,
    pub(crate) rlvr_lens: Arc<EngineLens>,
    pub(crate) placeholders: Vec<u32>,
    pub(crate) merge: usize,
}

impl Bound {
    /// The labelled rows of one sequence's prompt.
    pub(crate) fn map(&self, row: &PromptRow) -> Result<PromptMap> {
        let grids = row.image_grid_thw.as_deref().unwrap_or(&[]);
        let images = grids.iter().map(|grid| self.image(grid)).collect::<Result<Vec<_>>>()?;
        let prompt = row.tokens.get(..row.prompt_len).unwrap_or(&row.tokens);
        PromptMap::new(row.sequence, prompt, |token| self.placeholders.contains(&token), images)
    }

    /// Patches, as the engine counts them, to visual tokens.
    fn image(&self, patches: &[u32]) -> Result<Image> {
        let [frames, rows, columns] = patches else {
            return Err(Error::engine(format!("an image grid of {patches:?} patches")));
        };
        let merged = |patches: &u32| *patches as usize / self.merge;
        Ok(Image { grid: Grid { frames: *frames as usize, rows: merged(rows), columns: merged(columns) } })
    }
}

/// One sequence that is about to be prefilled.
pub(crate) struct EnginePrompt<'c, 'a, 'batch, 'seq> {
    pub(crate) bound: &'c Bound,
    pub(crate) call: &'c mut PromptCall<'a, 'batch, 'seq>,
    pub(crate) row: usize,
    pub(crate) map: PromptMap,
    pub(crate) edits: Option<Edits>,
}

#[async_trait(?Send)]
impl ReplayBackend for EnginePrompt<'_, '_, '_, '_> {
    fn pair(&self) -> &PairInfo {
        &self.bound.pair
    }

    fn prompt(&self) -> &PromptMap {
        &self.map
    }

    async fn capture(&mut self, role: Role, layers: &[usize]) -> Result<Activations> {
        if self.call.cancelled(self.row) {
            return Err(Error::Unavailable("the client went away".into()));
        }
        let tap = Arc::new(CaptureTap::new(layers, self.map.len()));
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

    fn lens(&self, role: Role) -> Arc<dyn LogitLens> {
        match role {
            Role::Base => self.bound.base_lens.clone(),
            Role::Rlvr => self.bound.rlvr_lens.clone(),
        }
    }

    async fn substitute(&mut self, edits: Edits) -> Result<()> {
        self.edits = Some(edits);
        Ok(())
    }
}
