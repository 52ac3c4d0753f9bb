//! What the value of a key may be.
//!
//! A shape is the one place that knows a kind of value: how to read it, how to name it in a message and in the
//! reference page, how to put it into the JSON schema, and, for the core's settings, how to write it into the listing
//! and the fingerprint. These therefore agree by construction.

mod bytes;
mod choice;
mod count;
mod found;
mod kind;
mod layers;
mod list;
mod number;
mod optional;
mod scalar;
mod thresholds;
mod written;

pub use bytes::Bytes;
pub use choice::Choice;
pub use kind::{Mismatch, Shape, Value};
pub use layers::LayerSet;
pub use list::List;
pub use number::Number;
pub use scalar::{Flag, Integer, Text};
pub use thresholds::Thresholds;

pub(super) use choice::alternatives;
pub(super) use count::Count;
pub(super) use found::describe;
pub(super) use optional::Optional;
pub(super) use written::Written;
