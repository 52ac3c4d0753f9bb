//! The trait that an engine implements for one prompt, and the types that it exchanges with replay.
mod activations;
mod backend;
mod exactness;
mod pair;

pub use activations::Activations;
pub use backend::ReplayBackend;
pub use exactness::Exactness;
pub use pair::{ModelInfo, PairInfo};
