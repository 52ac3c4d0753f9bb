//! Statistics over few prompts: pass@k, bootstrap intervals, a paired test, a correction for many tests.
//!
//! All random numbers are seeded, so that the same values give the same intervals on every machine.
mod bootstrap;
mod estimate;
mod generator;
mod holm;
mod paired;
mod pass_at;
mod ratio;

pub use bootstrap::estimate;
pub use estimate::{Estimate, Resampling};
pub use holm::holm;
pub use paired::{Difference, compare};
pub use pass_at::pass_at;
pub use ratio::ratio;

#[cfg(test)]
mod tests;
