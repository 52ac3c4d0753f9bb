//! Activation Replay in mistral.rs.
//!
//! * [`attach`]: gives a loaded pipeline replay, with one call;
//! * [`install`]: the same for every pipeline of the served model that is loaded afterwards, by any route;
//! * [`install_from_env`]: the same with the file that an environment variable names;
//! * [`read_config`]: our configuration, from a file of its own or from the engine's with our tables in it;
//! * [`LoadedPair`]: loads a pair for an engine that the caller starts;
//! * [`Session`]: loads a pair and answers prompts; what the `replay` program and the examples use;
//! * [`Directive`]: what one request asks of replay (off, a trace, its report), without any change to the engine's request types.
//!
//! ```no_run
//! # async fn f(pipeline: std::sync::Arc<tokio::sync::Mutex<dyn mistralrs_core::Pipeline + Send + Sync>>) -> anyhow::Result<()> {
//! let config = replay_core::Config::from_file("replay.toml")?;
//! // Before MistralRsBuilder::new(pipeline, ..).
//! if let Some(replay) = replay_mistralrs::attach(&pipeline, &config)? {
//!     println!("replaying {}", replay.pair().rlvr.id);
//! }
//! # Ok(()) }
//! ```
mod attach;
mod attached;
mod backend;
mod base;
mod config_layout;
mod decisions;
mod decoder;
mod device;
mod directive;
mod edit;
mod encoders;
mod engine_file;
mod environment;
mod error;
pub mod families;
mod fingerprint;
mod hook;
mod lens;
mod load;
mod loaded_pair;
mod memory;
pub mod metrics;
mod mismatch;
mod model_files;
mod paged;
mod pair;
mod policies;
mod prefix;
mod prefix_cache;
mod seeded;
mod self_test;
mod session;
mod settings;
mod shared;
mod source;
mod table;
pub mod tables;
mod tap;

pub use attach::{attach, install, install_observed, uninstall};
pub use attached::Attached;
pub use device::DevicePlace;
pub use directive::{Directive, Mode, RequestReport};
pub use engine_file::{is_engine_file, is_rlvr_model, read_config};
pub use environment::{CONFIG_VARIABLE, install_from_env};
pub use error::AttachError;
pub use fingerprint::identity;
pub use loaded_pair::LoadedPair;
pub use mismatch::Mismatch;
pub use paged::{PagedCache, paged_keys};
pub use session::{Answer, AskError, Prompt, Sampling, Session, Turn};
pub use settings::{Profile, Settings};
pub use table::{EngineTable, Placement, table_keys};

use replay_core::registry::{Adapter, inventory};

/// The value of the key `adapter`.
pub const ADAPTER: &str = "mistralrs";

inventory::submit! {
    Adapter {
        name: ADAPTER,
        engine: "mistral.rs 0.8.1",
        architectures: families::architectures,
        check_table: |config| EngineTable::read(config).map(|_| ()),
    }
}
