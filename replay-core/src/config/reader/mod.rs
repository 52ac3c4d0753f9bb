//! A reader of TOML tables that records every problem instead of stopping at the first one.
//!
//! serde cannot do that: a deserializer returns as soon as one field fails. The reader walks the parsed tree, whose
//! values know their place in the source, and is told key by key what to expect. It goes on after a problem with a
//! placeholder, and reports keys that were never looked up. The core reads its own tables with it, and an adapter reads
//! its table with it ([`Config::read_adapter_table`](super::Config::read_adapter_table)), so that all messages look
//! the same:
//!
//! ```
//! # use replay_core::config::{Config, ConfigError};
//! # fn read(config: &Config) -> Result<(), ConfigError> {
//! let (device, bytes_per_value, isq_bits) = config.read_adapter_table(|table| {
//!     (
//!         table.string("device").or("auto".to_owned()),
//!         table.choice("dtype", &[("bf16", 2), ("f32", 4)]).required(),
//!         table.integer("isq_bits", 2..=8).optional(),
//!     )
//! })?;
//! # Ok(())
//! # }
//! ```

mod field;
mod session;
mod table;
mod values;

pub use field::{Field, Given, Slot};
pub use table::TableReader;

pub(super) use session::Session;
