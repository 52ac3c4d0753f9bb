//! What an adapter offers.
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use super::host::HostFile;
use crate::config::reader::TableReader;
use crate::config::{Config, ConfigError};
use crate::session::{Session, SessionError};

/// One engine, as the rest of the program sees it.
#[async_trait]
pub trait Adapter: Debug + Sync {
    /// The value of the key `adapter`, and the name of the adapter's own table.
    fn name(&self) -> &'static str;

    /// The engine and its version.
    fn engine(&self) -> &'static str;

    /// The architectures that it can replay.
    fn architectures(&self) -> Vec<Architecture>;

    /// Reads the adapter's own table: reports every wrong value, and asks for every key that there is.
    fn read_table(&self, table: &mut TableReader<'_>);

    /// How the models of a configuration are loaded, in words: equal if two configurations load them alike.
    ///
    /// # Errors
    /// Every problem of the adapter's table.
    fn loading(&self, config: &Config) -> Result<String, ConfigError>;

    /// A hash of the weights of both models and of what their loading changes in them.
    ///
    /// # Errors
    /// If a model or its files cannot be read.
    fn identity(&self, config: &Config) -> Result<String, SessionError>;

    /// Loads the pair of a configuration and starts its engine.
    ///
    /// # Errors
    /// Everything that keeps the two models from being loaded or replayed.
    async fn open(&self, config: &Config) -> Result<Arc<dyn Session>, SessionError>;

    /// The engine's own configuration file, in which our tables may stand; `None` if it has none.
    fn host_file(&self) -> Option<&dyn HostFile> {
        None
    }

    /// Whether a file is the engine's own.
    fn is_host_file(&self, path: &Path) -> bool {
        self.host_file().is_some_and(|host| host.recognises(path))
    }
}

/// One architecture that an adapter can replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Architecture {
    /// Its name in a checkpoint.
    pub name: &'static str,
    /// The strategies that it can do.
    pub strategies: &'static [&'static str],
}
