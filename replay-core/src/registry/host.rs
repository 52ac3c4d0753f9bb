//! An engine's own configuration file that also holds the tables of replay. It may name several models, of which one is replayed.
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use crate::config::{Config, ConfigError};
use crate::session::{Session, SessionError};

/// The reader of an engine's own configuration files.
#[async_trait]
pub trait HostFile: Debug + Sync {
    /// Whether a file is the engine's own configuration file; `false` if it cannot be read.
    fn recognises(&self, path: &Path) -> bool;

    /// Reads the tables of replay.
    ///
    /// # Errors
    /// Every problem of the tables of replay.
    fn read(&self, path: &Path) -> Result<Config, ConfigError>;

    /// Reads the server settings of the engine.
    ///
    /// # Errors
    /// If the engine's part of the file cannot be read or served.
    fn server(&self, path: &Path) -> Result<HostServer, SessionError>;

    /// Loads all models of the file, and replays the one that the table `[pair]` names as RLVR model.
    ///
    /// # Errors
    /// If the engine cannot start, or the model cannot be replayed.
    async fn open(&self, path: &Path) -> Result<HostedModels, SessionError>;
}

/// The server settings in an engine's configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostServer {
    /// The address to listen on.
    pub host: String,
    /// The port to listen on.
    pub port: u16,
    /// Keys of the file that have no effect in this program.
    pub ignored: Vec<&'static str>,
}

/// The models of an engine's configuration file.
#[derive(Debug, Clone)]
pub struct HostedModels {
    /// The engine's name of each model, and its session.
    pub models: Vec<(String, Arc<dyn Session>)>,
    /// The model that answers requests without a model name.
    pub default: String,
}
