//! A mean with its interval, and how it is resampled.
use serde::Serialize;

/// Settings of the bootstrap and of the permutation test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Resampling {
    /// Number of bootstrap samples per interval.
    pub resamples: usize,
    /// Number of permutations per test; the smallest p-value is about one over this number.
    pub permutations: usize,
    /// The share of intervals that should contain the true value, between 0 and 1.
    pub confidence: f64,
    /// The seed of the random numbers.
    pub seed: u64,
}

impl Default for Resampling {
    fn default() -> Self {
        Self { resamples: 2000, permutations: 10_000, confidence: 0.95, seed: 0 }
    }
}

/// A mean over prompts with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The mean of the values themselves.
    pub mean: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
