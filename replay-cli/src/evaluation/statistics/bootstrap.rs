//! Bootstrap intervals of a mean.
use super::estimate::{Estimate, Resampling, mean};
use super::generator::Generator;

/// The mean of one value per prompt, with its percentile bootstrap interval (Efron 1979) over prompts. `None` without values.
///
/// Equal values give an interval of width 0, since they contain no information about the spread.
#[must_use]
pub fn estimate(values: &[f64], resampling: &Resampling) -> Option<Estimate> {
    if values.is_empty() {
        return None;
    }
    let mut generator = Generator::new(resampling.seed);
    let mut resample = || {
        let sum: f64 = (0..values.len()).map(|_| values[generator.below(values.len())]).sum();
        sum / values.len() as f64
    };
    let mut means: Vec<f64> = (0..resampling.resamples.max(1)).map(|_| resample()).collect();
    means.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - resampling.confidence) / 2.0;
    Some(Estimate { mean: mean(values), low: quantile(&means, tail), high: quantile(&means, 1.0 - tail) })
}

/// The quantile of at least one sorted value, interpolated between the two nearest ones.
pub(super) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let position = share.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[position.floor() as usize], sorted[position.ceil() as usize]);
    below + (above - below) * position.fract()
}
