//! What an engine implements for one prompt, and what crosses between it and replay.
mod activations;
mod backend;
mod exactness;
mod pair;

pub use activations::Activations;
pub use backend::ReplayBackend;
pub use exactness::Exactness;
pub use pair::{ModelInfo, PairInfo};
