//! The effect of one arm of a sweep.
use serde::Serialize;

use super::outcome::{Outcome, PromptKey, Responses};
use crate::evaluation::{Estimate, Resampling, statistics};

/// The effect of bringing back rows, on prompts that all arms have answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Effect {
    /// The arm.
    pub arm: String,
    /// The residual whose rows are the base's; `None` for several.
    pub residual: Option<usize>,
    /// The outcome.
    pub outcome: Estimate,
    /// The outcome minus that of replay off, paired by prompt.
    pub change: Estimate,
    /// Two-sided p-value of a sign-flip test of the change.
    pub p: f64,
    /// The p-value after Holm's correction for all arms of the sweep.
    pub p_corrected: f64,
    /// Share of prompts whose greedy answer is right; `None` without greedy answers, or if nothing is judged.
    pub greedy: Option<Estimate>,
    /// Share of prompts with a right sample; `None` if nothing is judged.
    pub solved: Option<Estimate>,
    /// Share of answers that equal those of replay off, with the same seed.
    pub like_off: Estimate,
    /// Share of answers that equal the base's, with the same seed.
    pub like_base: Estimate,
}

/// The effects of some arms, each given by its name, its answers and its outcomes.
pub(super) fn effects(
    arms: &[(&str, &Responses<'_>, Vec<f64>)],
    off_values: &[f64],
    (off, base): (&Responses<'_>, &Responses<'_>),
    prompts: &[PromptKey<'_>],
    outcome: Outcome,
    resampling: &Resampling,
) -> Vec<Effect> {
    let judged = outcome == Outcome::Right;
    let estimate = |value: &dyn Fn(&PromptKey<'_>) -> f64| {
        statistics::estimate(&prompts.iter().map(value).collect::<Vec<_>>(), resampling)
    };
    let effect = |(name, responses, values): &(&str, &Responses<'_>, Vec<f64>)| {
        let pairs: Vec<(f64, f64)> = values.iter().copied().zip(off_values.iter().copied()).collect();
        let statistics::Difference { difference, p } = statistics::compare(&pairs, resampling)?;
        let greedy: Option<Vec<f64>> =
            prompts.iter().map(|key| responses.greedy(key).map(|right| f64::from(u8::from(right)))).collect();
        Some(Effect {
            arm: (*name).to_owned(),
            residual: None,
            outcome: statistics::estimate(values, resampling)?,
            change: difference,
            p,
            p_corrected: p,
            greedy: greedy.filter(|_| judged).and_then(|values| statistics::estimate(&values, resampling)),
            solved: estimate(&|key| f64::from(u8::from(responses.solved(key)))).filter(|_| judged),
            like_off: estimate(&|key| responses.like(off, key))?,
            like_base: estimate(&|key| responses.like(base, key))?,
        })
    };
    let mut effects: Vec<Effect> = arms.iter().filter_map(effect).collect();
    let p: Vec<f64> = effects.iter().map(|effect| effect.p).collect();
    effects.iter_mut().zip(statistics::holm(&p)).for_each(|(effect, p)| effect.p_corrected = p);
    effects
}
