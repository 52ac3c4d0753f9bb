//! Compares one arm with another on the same prompts.
use super::metric::Metric;
use super::prompts::Prompts;
use super::table::Paired;
use crate::evaluation::{Resampling, statistics};

/// Corrects the p-values of each metric for the number of arms that are compared in it.
pub(super) fn correct(paired: &mut [Paired]) {
    for metric in paired.iter().map(|pair| pair.metric).collect::<Vec<_>>() {
        let of_metric: Vec<usize> = (0..paired.len()).filter(|&index| paired[index].metric == metric).collect();
        let p: Vec<f64> = of_metric.iter().map(|&index| paired[index].p).collect();
        of_metric.iter().zip(statistics::holm(&p)).for_each(|(&index, p)| paired[index].p_corrected = p);
    }
}

/// Compares two arms in every metric that both have on at least one prompt. Prompts have at most `max_samples` samples. The p-values are
/// not corrected yet.
pub(super) fn compare(
    (arm, prompts): (&str, &Prompts<'_>),
    (against, reference): (&str, &Prompts<'_>),
    max_samples: u32,
    resampling: &Resampling,
) -> Vec<Paired> {
    let compare = |metric: Metric| {
        let value = |prompts: &Prompts<'_>, key| prompts.get(key).and_then(|prompt| metric.of(prompt));
        let pairs: Vec<(f64, f64)> =
            prompts.keys().filter_map(|key| Some((value(prompts, key)?, value(reference, key)?))).collect();
        let with_value = |prompts: &Prompts<'_>| prompts.values().filter(|prompt| metric.of(prompt).is_some()).count();
        let statistics::Difference { difference, p } = statistics::compare(&pairs, resampling)?;
        Some(Paired {
            arm: arm.to_owned(),
            against: against.to_owned(),
            metric,
            prompts: pairs.len(),
            left_out: with_value(prompts) + with_value(reference) - 2 * pairs.len(),
            difference,
            p,
            p_corrected: p,
        })
    };
    Metric::all(max_samples).filter_map(compare).collect()
}
