//! The ratio of two mean differences.
use super::bootstrap::quantile;
use super::estimate::{Estimate, Resampling, mean};
use super::generator::Generator;

/// The ratio of two means over the same prompts, with its percentile bootstrap interval (both means from the same resampled prompts).
///
/// `None` without pairs, and where the interval of the divisor contains 0: such a ratio says nothing.
#[must_use]
pub fn ratio(pairs: &[(f64, f64)], resampling: &Resampling) -> Option<Estimate> {
    let (above, below): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    let divisor = super::estimate(&below, resampling)?;
    if divisor.low <= 0.0 && divisor.high >= 0.0 {
        return None;
    }
    let mut generator = Generator::new(resampling.seed);
    let mut resample = || {
        let drawn = (0..pairs.len()).map(|_| pairs[generator.below(pairs.len())]);
        let (above, below) = drawn.fold((0.0, 0.0), |(above, below), (a, b)| (above + a, below + b));
        above / below
    };
    let mut ratios: Vec<f64> = (0..resampling.resamples.max(1)).map(|_| resample()).collect();
    ratios.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - resampling.confidence) / 2.0;
    Some(Estimate {
        mean: mean(&above) / divisor.mean,
        low: quantile(&ratios, tail),
        high: quantile(&ratios, 1.0 - tail),
    })
}
