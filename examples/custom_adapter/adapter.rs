//! Step 4: it registers itself: the name that `adapter = "toy"` selects, its own table, and how a pair is opened.
use std::sync::Arc;

use async_trait::async_trait;
use replay_core::config::reader::TableReader;
use replay_core::config::{Config, ConfigError};
use replay_core::registry::{Adapter, Architecture, Registration, inventory};
use replay_core::session::{Session, SessionError};

use crate::engine::LAYERS;
use crate::session::ToySession;

#[derive(Debug)]
struct ToyAdapter;

inventory::submit! { Registration(&ToyAdapter) }

#[async_trait]
impl Adapter for ToyAdapter {
    fn name(&self) -> &'static str {
        "toy"
    }

    fn engine(&self) -> &'static str {
        "a toy"
    }

    fn architectures(&self) -> Vec<Architecture> {
        vec![Architecture { name: "Toy", strategies: &["substitute"] }]
    }

    fn read_table(&self, table: &mut TableReader<'_>) {
        seed(table);
    }

    fn loading(&self, config: &Config) -> Result<String, ConfigError> {
        Ok(format!("seed {}", config.read_adapter_table(seed)?))
    }

    fn identity(&self, config: &Config) -> Result<String, SessionError> {
        Ok(self.loading(config)?)
    }

    fn decoder_layers(&self, _: &Config) -> Result<usize, SessionError> {
        Ok(LAYERS)
    }

    async fn open(&self, config: &Config) -> Result<Arc<dyn Session>, SessionError> {
        Ok(Arc::new(ToySession::open(config, config.read_adapter_table(seed)?)?))
    }
}

/// `[toy]` has one key.
fn seed(table: &mut TableReader<'_>) -> u64 {
    table.integer("seed", 1..=1_000_000).or(7).unsigned_abs()
}
