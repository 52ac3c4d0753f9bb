//! Statistics over few prompts: pass@k, bootstrap intervals, a paired test.
//!
//! All random numbers are seeded, so that the same values give the same intervals on every machine.
mod bootstrap;
mod estimate;
mod generator;
mod paired;
mod pass_at;

pub use bootstrap::estimate;
pub use estimate::{Estimate, Resampling};
pub use paired::{Difference, compare};
pub use pass_at::pass_at;

#[cfg(test)]
mod tests;
