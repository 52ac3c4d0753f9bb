//! Errors of loading a pair and of answering a request.
use crate::ErrorKind;
use crate::config::ConfigError;

/// An error of loading a pair or of answering a request.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The configuration file has problems, or asks for something that these models do not have. The error has lines and columns.
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    /// The configuration asks for something that is not available, and the problem has no single line.
    #[error("{0}")]
    Setup(String),
    /// The configuration names another pair than the loaded one, or needs layers or weights that were not loaded.
    #[error("this configuration needs a restart: {0}")]
    NeedsRestart(String),
    /// The two models do not belong together, or cannot be replayed.
    #[error("{0}")]
    Pair(String),
    /// The request cannot be answered as it is.
    #[error("{message}")]
    Input {
        /// What is wrong with the request.
        fault: Fault,
        /// A message that says what is wrong.
        message: String,
    },
    /// Replay failed, and `on_error = "fail"` fails the request.
    #[error("activation replay failed: {0}")]
    Replay(String),
    /// The engine failed.
    #[error("{0}")]
    Engine(String),
    /// The engine has stopped.
    #[error("the engine has stopped")]
    Stopped,
}

/// What is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The engine cannot process the prompt.
    Prompt,
    /// The prompt is longer than the model's context.
    ContextLength {
        /// The length of the model's context, in tokens.
        max: usize,
    },
    /// The grammar or schema cannot be used, or no token fits it.
    Grammar,
    /// The engine does not support a field of the request, which is named here.
    Unsupported(&'static str),
    /// The model does not support media of this kind.
    Media,
}

impl SessionError {
    /// What has to change for the request or the loading to succeed.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Configuration(_) | Self::Setup(_) | Self::NeedsRestart(_) => ErrorKind::Configuration,
            Self::Pair(_) => ErrorKind::Pair,
            Self::Input { .. } => ErrorKind::Input,
            Self::Replay(_) | Self::Engine(_) | Self::Stopped => ErrorKind::Engine,
        }
    }

    /// An error of the request.
    pub fn input(fault: Fault, message: impl Into<String>) -> Self {
        Self::Input { fault, message: message.into() }
    }

    /// The error for a field of the request that the engine does not support.
    pub fn unsupported(field: &'static str) -> Self {
        Self::input(Fault::Unsupported(field), format!("this engine does not offer `{field}`"))
    }
}
