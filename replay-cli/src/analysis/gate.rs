//! Calibration of the gate: the drift of prompts that are to be replayed against that of prompts that are not.
use serde::Serialize;

/// The spread of the drift over prompts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// 5 % of the prompts are below.
    pub low: f64,
    /// Half of the prompts are below.
    pub median: f64,
    /// 95 % of the prompts are below.
    pub high: f64,
}

/// The calibration at one residual.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GateCalibration {
    /// The residual.
    pub residual: usize,
    /// The drift of the prompts to be replayed.
    pub wanted: Spread,
    /// The drift of the others; `None` without others.
    pub others: Option<Spread>,
    /// The value for `drift_below` that parts them best; `None` without others.
    pub drift_below: Option<f64>,
    /// The share of the wanted prompts below it.
    pub replayed: Option<f64>,
    /// The share of the others not below it.
    pub kept_out: Option<f64>,
}

/// Calibrates the gate at one residual, from the mean drift of the text rows of each prompt.
///
/// The threshold lies half-way between two neighbouring drifts, where the sum of the two shares is largest. `None` if no drift is finite.
#[must_use]
pub fn calibrate(residual: usize, wanted: &[f64], others: &[f64]) -> Option<GateCalibration> {
    let (wanted, others) = (sorted(wanted), sorted(others));
    let mut calibration = GateCalibration {
        residual,
        wanted: spread(&wanted)?,
        others: spread(&others),
        drift_below: None,
        replayed: None,
        kept_out: None,
    };
    if others.is_empty() {
        return Some(calibration);
    }
    let mut all: Vec<f64> = wanted.iter().chain(&others).copied().collect();
    all.sort_by(f64::total_cmp);
    let share_below = |values: &[f64], threshold: f64| {
        values.partition_point(|value| *value < threshold) as f64 / values.len() as f64
    };
    let last = all.last().map(|last| last.next_up());
    let between = all.windows(2).map(|pair| f64::midpoint(pair[0], pair[1])).chain(last);
    let judged =
        between.map(|threshold| (threshold, share_below(&wanted, threshold), 1.0 - share_below(&others, threshold)));
    let best = judged.max_by(|a, b| (a.1 + a.2).total_cmp(&(b.1 + b.2)));
    if let Some((threshold, replayed, kept_out)) = best {
        calibration.drift_below = Some(threshold);
        calibration.replayed = Some(replayed);
        calibration.kept_out = Some(kept_out);
    }
    Some(calibration)
}

/// The finite values, ascending.
fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    values
}

fn spread(sorted: &[f64]) -> Option<Spread> {
    let at = |share: f64| sorted.get(((sorted.len().saturating_sub(1)) as f64 * share).round() as usize).copied();
    Some(Spread { low: at(0.05)?, median: at(0.5)?, high: at(0.95)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_parts_what_can_be_parted() {
        let calibrated = calibrate(4, &[0.1, 0.3, 0.2, f64::NAN], &[0.5, 0.7]).unwrap();
        assert!((calibrated.drift_below.unwrap() - 0.4).abs() < 1e-12);
        assert_eq!((calibrated.replayed, calibrated.kept_out), (Some(1.0), Some(1.0)));
        assert_eq!(calibrated.wanted, Spread { low: 0.1, median: 0.2, high: 0.3 });
        // Overlapping: two of three wanted are below, and all others are not.
        let overlapping = calibrate(4, &[0.1, 0.2, 0.9], &[0.5, 0.7]).unwrap();
        assert_eq!((overlapping.replayed, overlapping.kept_out), (Some(2.0 / 3.0), Some(1.0)));
        // The wrong way round: replaying everything is as good as nothing.
        let reversed = calibrate(4, &[0.8, 0.9], &[0.1, 0.2]).unwrap();
        assert_eq!(reversed.replayed.unwrap() + reversed.kept_out.unwrap(), 1.0);
    }

    #[test]
    fn without_others_there_is_a_spread_and_no_threshold() {
        let calibrated = calibrate(1, &[0.2], &[]).unwrap();
        assert_eq!((calibrated.wanted.median, calibrated.others, calibrated.drift_below), (0.2, None, None));
        assert_eq!(calibrate(1, &[f64::NAN], &[0.1]), None);
    }
}
