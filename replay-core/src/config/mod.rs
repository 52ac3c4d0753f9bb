//! The TOML file that turns Activation Replay on.
//!
//! [`Config::from_file`] returns either a complete configuration or a [`ConfigError`] that lists every problem with its
//! line and the nearest valid word. serde stops at the first problem, so the file is not deserialized with it: [`reader`]
//! walks the parsed tree, records each problem with its place, and continues.
//!
//! A setting comes from the file, else from the preset, else from a documented default; strategy, layers and ranking
//! rule have no default, so that replay is never on by accident.
//!
//! Each key is declared once, in the file of its table in `keys/`: field, type, shape, default, help, and whether it
//! is listed and enters the fingerprint. The settings struct, the reader, the overlay over preset and default, the
//! [JSON schema](json_schema), the [reference page](reference_markdown), [`Replay::describe`] and
//! [`Replay::fingerprint`] are derived from that declaration (`keys/settings.rs` says how). Elsewhere are only the
//! checks across several keys (`combinations.rs`) and the values that a preset changes (`preset.rs`).
//!
//! The table named like the adapter belongs to the adapter, which reads it with the same reader
//! ([`Config::read_adapter_table`]).
//!
//! ```
//! use replay_core::config::{Config, Layers};
//!
//! let config = Config::from_str(
//!     r#"
//!     adapter = "mistralrs"
//!     [pair]
//!     rlvr = "FanqingM/MM-Eureka-Qwen-7B"
//!     base = "Qwen/Qwen2.5-VL-7B-Instruct"
//!     [replay]
//!     preset = "paper-math"
//!     "#,
//!     "replay.toml",
//! )?;
//! assert_eq!(config.replay.layers, Layers::First(16));
//! # Ok::<(), replay_core::config::ConfigError>(())
//! ```

mod adapter;
mod below;
mod candidates;
mod combinations;
mod error;
mod file;
mod fingerprint;
mod host;
mod key;
mod keys;
mod layers;
mod listing;
mod named_enum;
pub mod nearest;
mod position;
mod preset;
pub mod reader;
mod reference;
mod resolve;
mod schema;
pub mod shape;
mod source;
mod table;
#[cfg(test)]
mod tests;

pub use adapter::AdapterTable;
pub use below::Below;
pub(crate) use candidates::Candidates;
pub use error::{ConfigError, Problem};
pub use file::Config;
pub use host::Host;
pub use key::{Described, Fallback, Key};
pub use keys::{
    Alignment, Cache, Gate, Keep, Learned, Loss, OnError, Pair, Positions, Preset, Rank, Replay, Rule, Solver, Strategy,
};
pub use layers::{Layers, MAX_LAYERS, NoSuchLayer};
pub use reference::{reference_markdown, table_markdown};
pub use schema::{json_schema, json_schema_with, table_schema};
pub use table::Table;
