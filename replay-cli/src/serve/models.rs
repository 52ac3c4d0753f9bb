//! The models that are served.
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use replay_core::config::Config;
use replay_core::registry::{self, HostedModels};
use replay_core::session::{Session, SessionError};

/// A model to serve.
#[derive(Debug, Clone)]
pub struct ServedModel {
    /// The name of the model in requests.
    pub name: String,
    /// The configuration of its pair; with `enabled = false` the model is served without replay.
    pub config: Config,
}

impl ServedModel {
    /// A model named after the last part of its hub id or directory.
    pub fn named_after(config: Config) -> Self {
        let path = Path::new(&config.pair.rlvr);
        let last = path.file_name().map(|name| name.to_string_lossy().into_owned());
        Self { name: last.unwrap_or_else(|| config.pair.rlvr.clone()), config }
    }
}

/// The loaded models.
#[derive(Debug, Clone)]
pub struct Served {
    default: String,
    models: BTreeMap<String, Arc<dyn Session>>,
}

impl Served {
    /// Loads all models, each with the adapter that its configuration names. The first is the default.
    ///
    /// # Errors
    /// If there is none, two have the same name, or one cannot be loaded or replayed.
    pub async fn open(models: &[ServedModel]) -> Result<Self, SessionError> {
        let mut sessions = Vec::new();
        for (index, model) in models.iter().enumerate() {
            if models[..index].iter().any(|other| other.name == model.name) {
                return Err(SessionError::Setup(format!("two models are called {}", model.name)));
            }
            let adapter = registry::adapter(&model.config.adapter).map_err(|e| SessionError::Setup(e.to_string()))?;
            sessions.push((model.name.clone(), adapter.open(&model.config).await?));
        }
        let default = models.first().map(|model| model.name.clone());
        Ok(Self {
            default: default.ok_or_else(|| SessionError::Setup("no model to serve".into()))?,
            models: sessions.into_iter().collect(),
        })
    }

    /// The models of an engine's own file.
    pub fn hosted(hosted: HostedModels) -> Self {
        Self { default: hosted.default, models: hosted.models.into_iter().collect() }
    }

    /// All models.
    pub fn models(&self) -> impl Iterator<Item = (&str, &Arc<dyn Session>)> {
        self.models.iter().map(|(name, session)| (name.as_str(), session))
    }

    /// Names of all models.
    pub fn names(&self) -> Vec<&str> {
        self.models.keys().map(String::as_str).collect()
    }

    /// The model of that name, or the default model for `None`.
    pub fn model(&self, name: Option<&str>) -> Option<(&str, &Arc<dyn Session>)> {
        let (name, session) = self.models.get_key_value(name.unwrap_or(&self.default))?;
        Some((name, session))
    }
}
