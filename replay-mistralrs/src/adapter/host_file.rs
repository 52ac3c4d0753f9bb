//! The engine's own configuration file as the registry's host file.
use std::path::Path;

use async_trait::async_trait;
use replay_core::config::{Config, ConfigError};
use replay_core::registry::{HostFile, HostServer, HostedModels};
use replay_core::session::SessionError;

use crate::config::engine_file::{is_engine_file, read_config};

/// The engine's own configuration file.
#[derive(Debug)]
pub(crate) struct EngineHostFile;

#[async_trait]
impl HostFile for EngineHostFile {
    fn recognises(&self, path: &Path) -> bool {
        is_engine_file(path)
    }

    fn read(&self, path: &Path) -> Result<Config, ConfigError> {
        read_config(path)
    }

    #[cfg(feature = "server")]
    fn server(&self, path: &Path) -> Result<HostServer, SessionError> {
        Ok(crate::server::host_server(path)?)
    }

    #[cfg(feature = "server")]
    async fn open(&self, path: &Path) -> Result<HostedModels, SessionError> {
        Ok(crate::server::load_models(path).await?)
    }

    #[cfg(not(feature = "server"))]
    fn server(&self, _: &Path) -> Result<HostServer, SessionError> {
        Err(missing_server_feature())
    }

    #[cfg(not(feature = "server"))]
    async fn open(&self, _: &Path) -> Result<HostedModels, SessionError> {
        Err(missing_server_feature())
    }
}

#[cfg(not(feature = "server"))]
fn missing_server_feature() -> SessionError {
    SessionError::Setup(
        "this program cannot serve the engine's own file: build it with the adapter's feature `server`".into(),
    )
}
