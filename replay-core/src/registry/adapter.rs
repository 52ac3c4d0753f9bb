//! The trait that an engine adapter implements.
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use super::host::HostFile;
use crate::config::reader::TableReader;
use crate::config::{Config, ConfigError};
use crate::session::{Session, SessionError};

/// An engine adapter.
#[async_trait]
pub trait Adapter: Debug + Sync {
    /// The value of the key `adapter`, and the name of the adapter's own table.
    fn name(&self) -> &'static str;

    /// The engine and its version.
    fn engine(&self) -> &'static str;

    /// The architectures that the adapter can replay.
    fn architectures(&self) -> Vec<Architecture>;

    /// Reads the adapter's own table. It has to look up every valid key, since other keys are reported as unknown.
    fn read_table(&self, table: &mut TableReader<'_>);

    /// Describes how the models of a configuration are loaded. The texts of two configurations are equal if they load the models in the
    /// same way.
    ///
    /// # Errors
    /// Every problem of the adapter's table.
    fn loading(&self, config: &Config) -> Result<String, ConfigError>;

    /// A hash of the weights of both models, and of the settings that change them when they are loaded (such as quantisation).
    ///
    /// # Errors
    /// If a model or its files cannot be read.
    fn identity(&self, config: &Config) -> Result<String, SessionError>;

    /// The number of decoder layers of the RLVR model, read from its files without loading it.
    ///
    /// # Errors
    /// If the files cannot be read.
    fn decoder_layers(&self, config: &Config) -> Result<usize, SessionError>;

    /// Loads the pair of a configuration and starts its engine.
    ///
    /// # Errors
    /// If the two models cannot be loaded or replayed.
    async fn open(&self, config: &Config) -> Result<Arc<dyn Session>, SessionError>;

    /// The reader of the engine's own configuration files, which may hold the tables of replay; `None` if the engine has no such files.
    fn host_file(&self) -> Option<&dyn HostFile> {
        None
    }

    /// Whether a file is an engine's own configuration file.
    fn is_host_file(&self, path: &Path) -> bool {
        self.host_file().is_some_and(|host| host.recognises(path))
    }
}

/// One architecture that an adapter can replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Architecture {
    /// Its name in a checkpoint.
    pub name: &'static str,
    /// The strategies that the adapter supports for it.
    pub strategies: &'static [&'static str],
}
