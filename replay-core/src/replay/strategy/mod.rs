//! The strategies over one prompt: the order in which they ask a backend for passes, entropies and gradients.
mod capture;
mod clock;
mod learning;
mod measure;
mod substitution;

pub(super) use capture::capture;
pub(super) use clock::Clock;
pub(crate) use learning::{Correction, Learning, learn};
pub(crate) use substitution::substitute;
