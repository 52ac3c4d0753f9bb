//! The engine's keys in its own configuration file (the file of `mistralrs from-config`), which may also hold replay's tables.
//!
//! Format: mistralrs-cli 0.8.1, `src/config/mod.rs` and `src/args`.
use std::path::Path;

use replay_core::config::Config;
use serde::Deserialize;

use super::models;
use crate::config::engine_file::read_config;
use crate::error::AttachError;
use crate::models::source::is_rlvr_model;

/// The engine's keys of the file.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct EngineFile {
    #[serde(default)]
    pub(super) command: Option<String>,
    #[serde(default)]
    pub(super) global: Global,
    #[serde(default)]
    pub(super) runtime: Runtime,
    /// The address and port to listen on.
    #[serde(default)]
    pub(super) server: Server,
    #[serde(default)]
    pub(super) paged_attn: PagedAttention,
    #[serde(default)]
    pub(super) models: Vec<models::ModelEntry>,
    #[serde(default)]
    pub(super) default_model_id: Option<String>,
}

/// The engine's table `[server]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub(super) struct Server {
    /// The port to listen on.
    pub(super) port: u16,
    /// The address to listen on.
    pub(super) host: String,
    pub(super) ui: bool,
    pub(super) mcp_port: Option<u16>,
}

impl Default for Server {
    fn default() -> Self {
        Self { port: 1234, host: "0.0.0.0".into(), ui: false, mcp_port: None }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Global {
    pub(super) seed: Option<u64>,
    pub(super) log: Option<String>,
    pub(super) token_source: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub(super) struct Runtime {
    pub(super) max_seqs: usize,
    pub(super) no_kv_cache: bool,
    pub(super) prefix_cache_n: usize,
    pub(super) chat_template: Option<String>,
    pub(super) jinja_explicit: Option<String>,
    pub(super) enable_search: bool,
}

impl Default for Runtime {
    fn default() -> Self {
        Self {
            max_seqs: 32,
            no_kv_cache: false,
            prefix_cache_n: 16,
            chat_template: None,
            jinja_explicit: None,
            enable_search: false,
        }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct PagedAttention {
    pub(super) mode: Mode,
    pub(super) context_len: Option<usize>,
    pub(super) memory_mb: Option<usize>,
    pub(super) memory_fraction: Option<f32>,
    pub(super) block_size: Option<usize>,
    pub(super) cache_type: mistralrs_core::PagedCacheType,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Mode {
    #[default]
    Auto,
    On,
    Off,
}

impl EngineFile {
    /// Reads the engine's keys and replay's configuration. The RLVR model has to be one of the engine's models.
    ///
    /// # Errors
    /// If either part of the file is wrong, or the engine's part asks for something that this program does not serve.
    pub(super) fn read(path: &Path) -> Result<(Self, Config), AttachError> {
        let config = read_config(path)?;
        let text = std::fs::read_to_string(path).map_err(|e| AttachError::EngineFile(e.to_string()))?;
        let file: Self = toml::from_str(&text).map_err(|e| AttachError::EngineFile(e.to_string()))?;
        if let Some(command) = file.command.as_deref().filter(|command| *command != "serve") {
            return Err(AttachError::EngineFile(format!("expected command = \"serve\", got {command:?}")));
        }
        let model_ids: Vec<&str> = file.models.iter().map(|model| model.model_id.as_str()).collect();
        if !model_ids.iter().any(|id| is_rlvr_model(&config, id)) {
            let expected = format!("the `model_id` of one of the engine's [[models]]: {}", model_ids.join(", "));
            return Err(config.refuse("pair.rlvr", &expected, None).into());
        }
        Ok((file, config))
    }

    /// The keys that the engine's command line obeys and this program ignores.
    pub(super) fn ignored_keys(&self) -> Vec<&'static str> {
        let ignored = [
            (self.server.ui, "server.ui"),
            (self.server.mcp_port.is_some(), "server.mcp_port"),
            (self.runtime.enable_search, "runtime.enable_search"),
        ];
        ignored.into_iter().filter_map(|(set, key)| set.then_some(key)).collect()
    }
}
