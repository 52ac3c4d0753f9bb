//! Our tables in the engine's own configuration file (what its command line reads with `from-config`): `[pair]`, `[replay]`,
//! `[profiles.NAME]` and `[mistralrs]`. The engine passes over ours, and ours are read as from a file of their own.
use std::path::Path;

use replay_core::config::reader::TableReader;
use replay_core::config::{Config, ConfigError, Host};

use crate::config::adapter_name::ADAPTER;
use crate::config::table::EngineTable;

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
