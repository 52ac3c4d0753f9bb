//! One arm against another on the same prompts.
use super::{Metric, Paired, Prompts};
use crate::evaluation::{Resampling, statistics};

/// Every metric that both arms have on at least one prompt, for prompts with at most `most` samples.
pub(super) fn against(
    (arm, ours): (&str, &Prompts<'_>),
    (against, theirs): (&str, &Prompts<'_>),
    most: u32,
    resampling: &Resampling,
) -> Vec<Paired> {
    let compare = |metric: Metric| {
        let value = |prompts: &Prompts<'_>, key| prompts.get(key).and_then(|prompt| metric.of(prompt));
        let pairs: Vec<(f64, f64)> =
            ours.keys().filter_map(|key| Some((value(ours, key)?, value(theirs, key)?))).collect();
        let valued = |prompts: &Prompts<'_>| prompts.values().filter(|prompt| metric.of(prompt).is_some()).count();
        let statistics::Difference { difference, p } = statistics::compare(&pairs, resampling)?;
        Some(Paired {
            arm: arm.to_owned(),
            against: against.to_owned(),
            metric,
            prompts: pairs.len(),
            left_out: valued(ours) + valued(theirs) - 2 * pairs.len(),
            difference,
            p,
        })
    };
    Metric::all(most).filter_map(compare).collect()
}
