//! Why replay could not be attached.
mod mismatch;

use replay_core::ErrorKind;
use replay_core::config::ConfigError;
use replay_core::session::SessionError;

pub use mismatch::Mismatch;

/// Why replay could not be attached to a pipeline.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The configuration asks for something these models do not have, or its file is wrong.
    #[error(transparent)]
    File(#[from] ConfigError),
    /// A model could not be found or loaded.
    #[error("the {role} model {id:?} could not be loaded: {why}")]
    Load {
        /// Which model.
        role: replay_core::Role,
        /// The model as the configuration names it.
        id: String,
        /// The cause, and what to do.
        why: String,
    },
    /// The architecture has no profile.
    #[error("replay has no profile for architecture {architecture}; it has: {}", known.join(", "))]
    NoProfile {
        /// The architecture in `config.json`.
        architecture: String,
        /// The architectures that have a profile.
        known: Vec<&'static str>,
    },
    /// The engine can load the architecture, but replay cannot work for it.
    #[error("activation replay cannot work for architecture {architecture}: {why}")]
    Refused {
        /// The architecture in `config.json`.
        architecture: String,
        /// The reason.
        why: &'static str,
    },
    /// The architecture has no differentiable decoder.
    #[error("strategy \"learned\" does not support architecture {architecture}; it supports: {}", known.join(", "))]
    NotDifferentiable {
        /// The architecture in `config.json`.
        architecture: &'static str,
        /// The architectures that have one.
        known: Vec<&'static str>,
    },
    /// The two models differ where a pair must agree.
    #[error("the models are not a pair:{}", format_mismatches(.0))]
    NotAPair(Vec<Mismatch>),
    /// A model's `config.json` lacks a field or asks for something unsupported.
    #[error("{0}")]
    Config(String),
    /// The pipeline cannot be replayed.
    #[error("{0}")]
    Pipeline(String),
    /// A new configuration names another pair than the loaded one, or needs layers or gradients that were not loaded.
    #[error("this configuration needs a restart: {0}")]
    NeedsRestart(&'static str),
    /// The engine's own configuration file cannot be read, or asks for something that this program does not support.
    #[error("the engine's part of the file: {0}")]
    EngineFile(String),
    /// The weights of a model could not be read.
    #[error("a model's weights cannot be read: {0}")]
    Weights(#[from] candle_core::Error),
    /// A self-test failed, or the policy does not fit the models.
    #[error(transparent)]
    Replay(#[from] replay_core::Error),
}

fn format_mismatches(mismatches: &[Mismatch]) -> String {
    mismatches.iter().map(|mismatch| format!("\n  {mismatch}")).collect()
}

impl From<AttachError> for SessionError {
    fn from(error: AttachError) -> Self {
        match error {
            AttachError::File(file) => Self::Configuration(file),
            AttachError::NeedsRestart(why) => Self::NeedsRestart(why.into()),
            AttachError::EngineFile(_) => Self::Setup(error.to_string()),
            AttachError::Replay(replay) if replay.kind() == ErrorKind::Configuration => Self::Setup(replay.to_string()),
            AttachError::NotAPair(_)
            | AttachError::NoProfile { .. }
            | AttachError::Refused { .. }
            | AttachError::NotDifferentiable { .. } => Self::Pair(error.to_string()),
            AttachError::Load { .. }
            | AttachError::Config(_)
            | AttachError::Pipeline(_)
            | AttachError::Weights(_)
            | AttachError::Replay(_) => Self::Engine(error.to_string()),
        }
    }
}
