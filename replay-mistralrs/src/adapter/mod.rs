//! The registration of this adapter.
mod host_file;

use std::sync::Arc;

use async_trait::async_trait;
use replay_core::config::reader::TableReader;
use replay_core::config::{Config, ConfigError};
use replay_core::registry::{Adapter, Architecture, HostFile, Registration, inventory};
use replay_core::session::{Session, SessionError};

use crate::config::adapter_name::ADAPTER;
use crate::config::table::EngineTable;
use crate::families;
use crate::models::fingerprint::identity;
use crate::pairing::depth::decoder_layers;
use crate::session::MistralrsSession;

use host_file::EngineHostFile;

#[derive(Debug)]
struct Mistralrs;

#[async_trait]
impl Adapter for Mistralrs {
    fn name(&self) -> &'static str {
        ADAPTER
    }

    fn engine(&self) -> &'static str {
        "mistral.rs 0.8.1"
    }

    fn architectures(&self) -> Vec<Architecture> {
        families::architectures()
    }

    fn read_table(&self, table: &mut TableReader<'_>) {
        EngineTable::from_table(table);
    }

    fn loading(&self, config: &Config) -> Result<String, ConfigError> {
        Ok(format!("{:?}", EngineTable::read(config)?))
    }

    fn identity(&self, config: &Config) -> Result<String, SessionError> {
        Ok(identity(config)?)
    }

    fn decoder_layers(&self, config: &Config) -> Result<usize, SessionError> {
        Ok(decoder_layers(config)?)
    }

    async fn open(&self, config: &Config) -> Result<Arc<dyn Session>, SessionError> {
        Ok(Arc::new(MistralrsSession::open(config).await?))
    }

    fn host_file(&self) -> Option<&dyn HostFile> {
        Some(&EngineHostFile)
    }
}

inventory::submit! { Registration(&Mistralrs) }
