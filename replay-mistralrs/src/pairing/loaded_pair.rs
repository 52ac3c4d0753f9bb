//! Loads the pair of a configuration for an engine that the caller starts.
use mistralrs_core::SchedulerConfig;
use replay_core::Role;
use replay_core::config::Config;

use crate::config::paged;
use crate::config::table::EngineTable;
use crate::error::AttachError;
use crate::models::load::{LoadedPipeline, ServingOptions, load_model};
use crate::models::source::ModelSource;
use crate::pairing::attach::attach_base;
use crate::pairing::attached::Attached;
use crate::pairing::loaded_base::LoadedBase;

/// A loaded pair, with everything that the caller needs to start an engine.
pub struct LoadedPair {
    /// The pipeline of the RLVR model.
    pub pipeline: LoadedPipeline,
    /// Its replay; `None` if replay is disabled.
    pub replay: Option<Attached>,
    /// The scheduler: that of PagedAttention if the adapter's table asks for it.
    pub scheduler: SchedulerConfig,
}

impl std::fmt::Debug for LoadedPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadedPair").field("replay", &self.replay).finish_non_exhaustive()
    }
}

impl LoadedPair {
    /// Loads both models and attaches replay. The base is not loaded if replay is disabled.
    ///
    /// # Errors
    /// If a model cannot be loaded, the models are not a pair, or a self-test fails.
    pub fn load(config: &Config) -> Result<Self, AttachError> {
        let table = EngineTable::read(config)?;
        let (_, source) = ModelSource::find_pair(config)?;
        // The base is loaded first: an engine that sizes its KV cache by free memory would leave no room for it.
        let base = if config.replay.enabled { Some(LoadedBase::load(config)?) } else { None };
        let options = ServingOptions { paged: table.paged.as_ref(), chat_template: table.chat_template.as_deref() };
        let pipeline = load_model(Role::Rlvr, &source, table.placement(Role::Rlvr), options, Ok)?;
        let replay = base.map(|base| attach_base(&base, &pipeline)).transpose()?;
        let loaded = pipeline.try_lock().map_err(|e| AttachError::Pipeline(e.to_string()))?;
        let scheduler = paged::scheduler_config(&*loaded, table.max_seqs);
        drop(loaded);
        Ok(Self { pipeline, replay, scheduler })
    }
}
