//! Runs the steps of a configuration over one prompt, and decides how its prefill continues.
mod cache;
mod decide;
mod directive;
mod gate;
pub mod metrics;
mod observe;
mod policy;
mod replayer;
mod settings;
mod strategy;
mod trace;

pub use cache::ReplayCache;
pub use decide::{Decided, Decision};
pub use directive::{Directive, Mode, RequestReport};
pub use observe::{LayerObservation, Observation};
pub use replayer::{Replayed, Replayer};
pub use settings::{Profile, Settings};
pub use trace::Trace;
