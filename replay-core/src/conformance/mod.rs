//! The checks that every adapter runs against its engine.
//!
//! An adapter implements [`Subject`] (prefill some prompts together, with a [`Plan`] for each) and [`Maker`] (a fresh subject for each
//! check), and calls [`run`]. The feature `mock` adds an engine that passes every check, and faults that each make one check fail.
mod check;
mod checks;
mod gradients;
#[cfg(any(test, feature = "mock"))]
pub mod mock;
mod plan;
mod report;
mod run;
mod subject;

pub use check::Check;
pub use gradients::Gradients;
pub use plan::{Observed, Plan, Step};
pub use report::{CheckResult, ConformanceReport};
pub use run::run;
pub use subject::{Maker, Prefill, Subject};

#[cfg(test)]
mod tests;
