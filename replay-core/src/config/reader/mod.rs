//! A reader of TOML tables that records every problem instead of stopping at the first one.
//!
//! serde cannot do that: a deserializer returns as soon as one field fails. The reader walks the parsed tree, whose
//! values have spans in the source, and its caller names key by key the shape that is expected. After a problem it
//! continues with a placeholder, and it reports keys that were never looked up. The core and the adapters
//! ([`Config::read_adapter_table`](super::Config::read_adapter_table)) read their tables with it, so that all messages
//! have the same form:
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

mod diagnostics;
mod field;
mod table;
mod values;

pub use field::{Field, Given, Slot};
pub use table::TableReader;

pub(super) use diagnostics::Diagnostics;
