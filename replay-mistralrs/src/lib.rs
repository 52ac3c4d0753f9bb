//! Activation Replay in mistral.rs.
//!
//! * [`attach`]: gives a loaded pipeline replay, with one call;
//! * [`install`]: the same for every pipeline of the served model that is loaded afterwards, by any route;
//! * [`install_from_env`]: the same with the file that an environment variable names;
//! * [`read_config`]: our configuration, from a file of its own or from the engine's with our tables in it;
//! * [`LoadedPair`]: loads a pair for an engine that the caller starts;
//! * [`MistralrsSession`]: loads a pair and answers requests ([`replay_core::session::Session`]);
//! * [`Attached::direct`]: what one request asks of replay (off, a trace, its report), without any change to the engine's request types.
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
mod adapter;
mod adapter_name;
mod attach;
mod attached;
mod backend;
mod base;
mod config_layout;
mod decisions;
mod decoder;
mod device;
mod edit;
mod encoders;
mod environment;
mod error;
mod facts;
pub mod families;
mod fingerprint;
mod hook;
mod host_file;
mod lens;
mod load;
mod loaded_pair;
mod memory;
mod mismatch;
mod model_files;
mod orders;
mod paged;
mod pair;
mod policies;
mod prefix;
mod prefix_cache;
mod self_test;
#[cfg(feature = "server")]
pub mod server;
mod session;
mod shared;
mod source;
mod table;
mod tap;

pub use adapter_name::ADAPTER;
pub use attach::{attach, install, install_observed, uninstall};
pub use attached::Attached;
pub use device::DevicePlace;
pub use environment::{CONFIG_VARIABLE, install_from_env};
pub use error::AttachError;
pub use fingerprint::identity;
pub use host_file::{is_engine_file, is_rlvr_model, read_config};
pub use loaded_pair::LoadedPair;
pub use mismatch::Mismatch;
pub use paged::{PagedCache, paged_keys};
pub use session::MistralrsSession;
pub use table::{EngineTable, Placement, table_keys};
