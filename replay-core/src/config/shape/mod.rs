//! Shapes: the kinds of value that a key can have.
//!
//! A shape defines how a kind of value is read, named in messages and in the reference page, described in the JSON
//! schema, and, for the core's settings, written into the listing and the fingerprint. These therefore agree.

mod bytes;
mod choice;
mod count;
mod describe;
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
pub use kind::{Diagnostic, Shape, Value};
pub use layers::LayerSet;
pub use list::List;
pub use number::Number;
pub use scalar::{Flag, Integer, Text};
pub use thresholds::Thresholds;

pub(super) use choice::alternatives;
pub(super) use count::Count;
pub(super) use describe::describe;
pub(super) use optional::Optional;
pub(super) use written::Written;
