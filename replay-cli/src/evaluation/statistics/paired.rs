//! The paired comparison of two arms.
use serde::Serialize;

use super::bootstrap::estimate;
use super::estimate::{Estimate, Resampling, mean};
use super::generator::Generator;

/// Relative rounding difference between sums of the same numbers in another order.
const ROUNDING: f64 = 1e-12;

/// The difference between two arms on the same prompts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// Mean of first minus second, with its interval over prompts.
    pub difference: Estimate,
    /// Two-sided p-value: the probability of a mean difference at least this large if the arms do not differ.
    pub p: f64,
}

/// Compares two arms by one pair of values per prompt. `None` without pairs.
///
/// The p-value is that of a sign-flip permutation test: if the arms do not differ, each difference has either sign with equal probability.
/// The observed signs count as one more permutation (Phipson and Smyth 2010), so p is never 0, and 1 for equal arms.
#[must_use]
pub fn compare(pairs: &[(f64, f64)], resampling: &Resampling) -> Option<Difference> {
    let differences: Vec<f64> = pairs.iter().map(|(first, second)| first - second).collect();
    let difference = estimate(&differences, resampling)?;
    let size = mean(&differences.iter().map(|difference| difference.abs()).collect::<Vec<_>>());
    let observed = difference.mean.abs() - ROUNDING * size;
    let mut generator = Generator::new(resampling.seed);
    let mut as_large = || {
        let sum: f64 = differences.chunks(64).map(|chunk| flipped(chunk, generator.bits())).sum();
        (sum / differences.len() as f64).abs() >= observed
    };
    let count = (0..resampling.permutations).filter(|_| as_large()).count();
    Some(Difference { difference, p: (count + 1) as f64 / (resampling.permutations + 1) as f64 })
}

/// The sum of at most 64 numbers, each with its sign changed where the bit is set.
fn flipped(numbers: &[f64], bits: u64) -> f64 {
    numbers.iter().enumerate().map(|(index, number)| if bits >> index & 1 == 1 { -number } else { *number }).sum()
}
