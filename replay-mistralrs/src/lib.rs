//! The adapter of Activation Replay for the engine mistral.rs.
//!
//! * [`attach`] attaches replay to a loaded pipeline;
//! * [`install`] attaches it to every pipeline of the RLVR model that is loaded afterwards, however it is loaded;
//! * [`install_from_env`] does so with the configuration file that an environment variable names;
//! * [`read_config`] reads the configuration, from a file of its own or from replay's tables in the engine's file;
//! * [`LoadedPair`] loads a pair for an engine that the caller starts;
//! * [`MistralrsSession`] loads a pair and answers requests ([`replay_core::session::Session`]);
//! * [`Attached::direct`] sets the directive of one request (off, trace, report) without any change to the engine's request types.
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
mod config;
mod error;
pub mod families;
mod models;
mod pairing;
mod runtime;
#[cfg(feature = "server")]
pub mod server;
mod session;

pub use config::adapter_name::ADAPTER;
pub use config::device::DevicePlace;
pub use config::engine_file::{is_engine_file, read_config};
pub use config::paged::{PagedCache, paged_keys};
pub use config::table::{EngineTable, Placement, table_keys};
pub use error::{AttachError, Mismatch};
pub use models::fingerprint::identity;
pub use models::source::is_rlvr_model;
pub use pairing::attach::{attach, install, install_observed, uninstall};
pub use pairing::attached::Attached;
pub use pairing::environment::{CONFIG_VARIABLE, install_from_env};
pub use pairing::loaded_pair::LoadedPair;
pub use session::MistralrsSession;
