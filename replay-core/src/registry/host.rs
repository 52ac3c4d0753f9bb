//! An engine's own configuration file with our tables in it: it may name several models, of which one is replayed.
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use crate::config::{Config, ConfigError};
use crate::session::{Session, SessionError};

/// What an adapter does with its engine's own file.
#[async_trait]
pub trait HostFile: Debug + Sync {
    /// Whether a file is the engine's own. What cannot be read is left to whoever reads it next.
    fn recognises(&self, path: &Path) -> bool;

    /// Our part of the file.
    ///
    /// # Errors
    /// Every problem of our part.
    fn read(&self, path: &Path) -> Result<Config, ConfigError>;

    /// What the engine's part says of a server.
    ///
    /// # Errors
    /// If the engine's part cannot be read or served.
    fn server(&self, path: &Path) -> Result<HostServer, SessionError>;

    /// Loads all models of the file, and replays the one that is the RLVR model of our part.
    ///
    /// # Errors
    /// What keeps the engine from starting, or the model from being replayed.
    async fn open(&self, path: &Path) -> Result<HostedModels, SessionError>;
}

/// What an engine's file says of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostServer {
    /// The address to listen on.
    pub host: String,
    /// The port to listen on.
    pub port: u16,
    /// Keys of the file that have no effect in this program.
    pub ignored: Vec<&'static str>,
}

/// The models of an engine's file.
#[derive(Debug, Clone)]
pub struct HostedModels {
    /// By the engine's names.
    pub models: Vec<(String, Arc<dyn Session>)>,
    /// The model of requests that name none.
    pub default: String,
}
