//! Why a pair is not loaded, or a request not answered.
use crate::ErrorKind;
use crate::config::ConfigError;

/// Why a pair is not loaded, or a request not answered.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The configuration file is wrong, or asks for something that these models do not have: with lines and columns.
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    /// The configuration asks for something that cannot be had, and no one line of it is to blame.
    #[error("{0}")]
    Setup(String),
    /// A configuration is about another pair than the loaded one, or needs what was not loaded.
    #[error("this configuration needs a restart: {0}")]
    NeedsRestart(String),
    /// The two models do not belong together, or cannot be replayed.
    #[error("{0}")]
    Pair(String),
    /// The request cannot be answered as it is.
    #[error("{message}")]
    Input {
        /// What is wrong with it.
        fault: Fault,
        /// The same for people.
        message: String,
    },
    /// Replay failed, and `on_error = "fail"` fails the request.
    #[error("activation replay failed: {0}")]
    Replay(String),
    /// The engine failed.
    #[error("{0}")]
    Engine(String),
    /// The engine is gone.
    #[error("the engine has stopped")]
    Stopped,
}

/// What is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The engine cannot process the prompt.
    Prompt,
    /// The prompt is longer than the model takes.
    ContextLength {
        /// Tokens that the model takes.
        max: usize,
    },
    /// The grammar or schema cannot be used, or no token fits it.
    Grammar,
    /// The engine does not offer something that the request asks for: the field of the request.
    Unsupported(&'static str),
    /// The model sees no media of this kind.
    Media,
}

impl SessionError {
    /// What has to change for it to work.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Configuration(_) | Self::Setup(_) | Self::NeedsRestart(_) => ErrorKind::Configuration,
            Self::Pair(_) => ErrorKind::Pair,
            Self::Input { .. } => ErrorKind::Input,
            Self::Replay(_) | Self::Engine(_) | Self::Stopped => ErrorKind::Engine,
        }
    }

    /// A fault of the request.
    pub fn input(fault: Fault, message: impl Into<String>) -> Self {
        Self::Input { fault, message: message.into() }
    }

    /// The engine does not offer what `field` of the request asks for.
    pub fn unsupported(field: &'static str) -> Self {
        Self::input(Fault::Unsupported(field), format!("this engine does not offer `{field}`"))
    }
}
