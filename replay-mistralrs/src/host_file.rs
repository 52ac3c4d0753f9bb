//! Our tables in the engine's own configuration file (what its command line reads with `from-config`): `[pair]`, `[replay]`,
//! `[profiles.NAME]` and `[mistralrs]`. The engine passes over ours, and ours are read as from a file of their own.
use std::path::Path;

use async_trait::async_trait;
use replay_core::config::reader::TableReader;
use replay_core::config::{Config, ConfigError, Host};
use replay_core::registry::{HostFile, HostServer, HostedModels};
use replay_core::session::SessionError;

use crate::adapter_name::ADAPTER;
use crate::source::ModelSource;
use crate::table::EngineTable;

const HOST: Host<'static> = Host {
    adapter: ADAPTER,
    keys: &[
        "command",
        "global",
        "runtime",
        "server",
        "paged_attn",
        "models",
        "default_model_id",
        "thinking",
        "enable_thinking",
    ],
};

/// Whether a file is the engine's own: it has `[[models]]` or a `command`. What cannot be read is left to whoever reads it next.
pub fn is_engine_file(path: &Path) -> bool {
    let text = std::fs::read_to_string(path).ok();
    let file = text.and_then(|text| text.parse::<toml::Table>().ok());
    file.is_some_and(|file| file.contains_key("models") || file.contains_key("command"))
}

/// Our configuration in a file: one of its own, or the engine's with our tables in it.
///
/// # Errors
/// Every problem of our part of the file.
pub fn read_config(path: &Path) -> Result<Config, ConfigError> {
    let read = |adapter: &str, table: &mut TableReader<'_>| match adapter {
        ADAPTER => drop(EngineTable::from_table(table)),
        _ => table.accept_all(),
    };
    let (config, ()) = match is_engine_file(path) {
        true => Config::from_host_file_with(path, &HOST, read)?,
        false => Config::from_file_with(path, read)?,
    };
    if config.adapter != ADAPTER {
        return Err(config.refuse("adapter", &format!("{ADAPTER:?}"), None));
    }
    Ok(config)
}

/// Whether `model_id`, as the engine's file names a model, is the RLVR model of this configuration.
pub fn is_rlvr_model(config: &Config, model_id: &str) -> bool {
    let rlvr = ModelSource::find(&config.pair.rlvr, config.source_path.as_deref());
    rlvr.is_ok_and(|source| model_id == config.pair.rlvr || source.is_named(model_id))
}

/// The engine's own file, for the registry.
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
        Ok(crate::server::open(path).await?)
    }

    #[cfg(not(feature = "server"))]
    fn server(&self, _: &Path) -> Result<HostServer, SessionError> {
        Err(without_server())
    }

    #[cfg(not(feature = "server"))]
    async fn open(&self, _: &Path) -> Result<HostedModels, SessionError> {
        Err(without_server())
    }
}

#[cfg(not(feature = "server"))]
fn without_server() -> SessionError {
    SessionError::Setup("the engine's own file can be served by a program with the adapter's feature `server`".into())
}
