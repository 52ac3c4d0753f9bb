//! The loaded pair of one replayed pipeline.
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use mistralrs_core::forward_hook::PromptRow;
use replay_core::session::Settings;
use replay_core::{PairInfo, PromptMap, ReplayCache, Result, Role};

use crate::config::table::EngineTable;
use crate::families::{Media, PromptLabeller};
use crate::models::load::LoadedPipeline;
use crate::runtime::decoder::EngineDecoder;
use crate::runtime::lens::EngineLens;
use crate::runtime::prefix_cache::PrefixCache;

/// A pair that is ready for replay: the base, and what is known of the RLVR model's pipeline.
pub(crate) struct ReplayPair {
    /// The settings of new requests.
    pub(crate) settings: RwLock<Settings>,
    /// The adapter's table with which both models were loaded.
    pub(crate) table: EngineTable,
    pub(crate) info: PairInfo,
    /// The base; two engines may use the same one.
    pub(crate) base: Arc<Mutex<LoadedPipeline>>,
    pub(crate) base_lens: Arc<EngineLens>,
    pub(crate) rlvr_lens: Arc<EngineLens>,
    pub(crate) labeller: PromptLabeller,
    /// Whether both models have the same vision tower, so that it runs once per prompt.
    pub(crate) same_vision_tower: bool,
    /// Bytes of the base's weights that both models share, and of all its weights.
    pub(crate) shared_bytes: (usize, usize),
    /// What was taken from the other model's files or left out, for users.
    pub(crate) remarks: Vec<(Role, String)>,
    /// The differentiable decoders of both models, for strategy `learned`.
    pub(crate) decoders: Option<Decoders>,
    pub(crate) cache: Arc<ReplayCache>,
    pub(crate) prefix_cache: Arc<PrefixCache>,
    /// Why the prefix cache is off although the settings turn it on.
    pub(crate) prefix_cache_fault: Option<String>,
    /// A description of the engine's KV cache for users.
    pub(crate) kv_cache: String,
}

/// The differentiable decoders of both models.
#[derive(Clone)]
pub(crate) struct Decoders {
    pub(crate) base: TestedDecoder,
    pub(crate) rlvr: TestedDecoder,
}

/// A differentiable decoder that passed the self-test.
#[derive(Clone)]
pub(crate) struct TestedDecoder {
    pub(crate) decoder: Arc<EngineDecoder>,
    /// The largest error of a row of its residuals against the engine's at start-up, relative to the length of the row.
    pub(crate) error: f32,
}

impl ReplayPair {
    /// The current settings.
    pub(crate) fn settings(&self) -> Settings {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Labels the rows of one sequence's prompt.
    pub(crate) fn label_prompt(&self, row: &PromptRow, media: Media<'_>) -> Result<PromptMap> {
        self.labeller.label_prompt(row, media)
    }
}
