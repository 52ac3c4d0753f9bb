//! The models behind one engine.
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use mistralrs_core::{AddModelConfig, EngineConfig, MistralRs, MistralRsBuilder};
use replay_core::config::Config;
use replay_mistralrs::{AttachError, Attached, LoadedPair};

use super::engine_file::{self, EngineFile};

/// One model that is served.
#[derive(Debug, Clone)]
pub struct ServedModel {
    /// What requests call it.
    pub name: String,
    /// Its pair and settings; with `enabled = false` it is served without replay.
    pub config: Config,
}

impl ServedModel {
    /// A model under the last part of its hub id or directory.
    pub fn named_after(config: Config) -> Self {
        let path = Path::new(&config.pair.rlvr);
        let last = path.file_name().map(|name| name.to_string_lossy().into_owned());
        Self { name: last.unwrap_or_else(|| config.pair.rlvr.clone()), config }
    }
}

/// Running models.
#[derive(Clone)]
pub struct Served {
    engine: Arc<MistralRs>,
    default: String,
    models: BTreeMap<String, Option<Attached>>,
}

impl std::fmt::Debug for Served {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Served").field("models", &self.models).finish_non_exhaustive()
    }
}

impl Served {
    /// Loads all models and starts their engines. The first is the default.
    ///
    /// # Errors
    /// If there is none, two have the same name, or one cannot be loaded or replayed.
    pub async fn open(models: &[ServedModel]) -> Result<Self, AttachError> {
        let mut served: Option<Self> = None;
        for (index, model) in models.iter().enumerate() {
            if models[..index].iter().any(|other| other.name == model.name) {
                return Err(AttachError::Pipeline(format!("two models are called {}", model.name)));
            }
            let LoadedPair { pipeline, replay, scheduler } = LoadedPair::load(&model.config)?;
            match &mut served {
                None => {
                    let builder = MistralRsBuilder::new(pipeline, scheduler, false, None).with_model_id(&model.name);
                    let models = BTreeMap::from([(model.name.clone(), replay)]);
                    served = Some(Self { engine: builder.build().await, default: model.name.clone(), models });
                }
                Some(served) => {
                    let engine = EngineConfig { throughput_logging_enabled: false, ..EngineConfig::default() };
                    let added =
                        served.engine.add_model(model.name.clone(), pipeline, scheduler, AddModelConfig::new(engine));
                    added.await.map_err(AttachError::Pipeline)?;
                    served.models.insert(model.name.clone(), replay);
                }
            }
        }
        served.ok_or_else(|| AttachError::Pipeline("no model to serve".into()))
    }

    /// Loads all models of the engine's own file, and replays the one that is the RLVR model of the configuration in it.
    ///
    /// # Errors
    /// What keeps the engine from starting, or the model from being replayed.
    pub async fn from_engine_file(file: &EngineFile, config: &Config) -> Result<Self, AttachError> {
        let (engine, default, models) = engine_file::start(file, config).await?;
        Ok(Self { engine, default, models })
    }

    /// The engine.
    pub fn engine(&self) -> &Arc<MistralRs> {
        &self.engine
    }

    /// All models, with their replay.
    pub fn models(&self) -> impl Iterator<Item = (&str, Option<&Attached>)> {
        self.models.iter().map(|(name, replay)| (name.as_str(), replay.as_ref()))
    }

    /// Names of all models.
    pub fn names(&self) -> Vec<&str> {
        self.models.keys().map(String::as_str).collect()
    }

    /// Name and replay of a model; of the default without a name.
    pub fn model(&self, name: Option<&str>) -> Option<(&str, Option<&Attached>)> {
        let (name, replay) = self.models.get_key_value(name.unwrap_or(&self.default))?;
        Some((name, replay.as_ref()))
    }
}
