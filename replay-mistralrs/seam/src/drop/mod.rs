//! `cargo seam drop`: does a test fail without the fix that it is there for?
//!
//! Makes an engine without the edits of some faults, runs the tests of those faults and expects them to fail. A command for maintainers:
//! each engine compiles for minutes.

mod outcome;
mod prove;
mod select;
mod suite;
mod table;

pub use outcome::Outcome;
pub use prove::{Proof, Row, Suite, prove};
pub use select::{Group, Selection, select};
pub use suite::CargoSuite;
pub use table::{listing, table};
