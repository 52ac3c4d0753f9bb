//! Replay's tables in the engine's own configuration file (the file of `mistralrs from-config`): `[pair]`, `[replay]`, `[profiles.NAME]`
//! and `[mistralrs]`. The engine ignores them; replay reads them as it reads a file of its own.
use std::path::Path;

use replay_core::config::reader::TableReader;
use replay_core::config::{Config, ConfigError, Host};

use crate::config::adapter_name::ADAPTER;
use crate::config::table::EngineTable;

/// The engine's keys, which replay ignores.
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

/// Whether a file is the engine's own configuration file, which has `[[models]]` or a `command`. False for a file that cannot be read: the
/// reader called next reports why.
pub fn is_engine_file(path: &Path) -> bool {
    let text = std::fs::read_to_string(path).ok();
    let file = text.and_then(|text| text.parse::<toml::Table>().ok());
    file.is_some_and(|file| file.contains_key("models") || file.contains_key("command"))
}

/// Reads replay's configuration from a file of its own, or from its tables in the engine's file.
///
/// # Errors
/// All problems of replay's tables.
pub fn read_config(path: &Path) -> Result<Config, ConfigError> {
    let read_table = |adapter: &str, table: &mut TableReader<'_>| match adapter {
        ADAPTER => drop(EngineTable::from_table(table)),
        _ => table.accept_all(),
    };
    let (config, ()) = match is_engine_file(path) {
        true => Config::from_host_file_with(path, &HOST, read_table)?,
        false => Config::from_file_with(path, read_table)?,
    };
    if config.adapter != ADAPTER {
        return Err(config.refuse("adapter", &format!("{ADAPTER:?}"), None));
    }
    Ok(config)
}
