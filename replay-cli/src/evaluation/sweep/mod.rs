//! Where the base's visual rows matter: the effect of bringing them back at one residual at a time, at all of them, and by a policy.
//!
//! The effect of all of them is the *ceiling*: what there is to recover at the visual rows. A part of the rows may do better than all of
//! them where bringing some back does harm, but if the ceiling cannot be told from zero, no replay of visual rows is likely to help.
mod effect;
mod outcome;
mod proposal;

use std::collections::BTreeMap;

use serde::Serialize;

use super::statistics;
use super::{Estimate, Record, Resampling};

pub use effect::Effect;
pub use outcome::Outcome;
pub use proposal::Proposal;

use effect::effects;
use outcome::Responses;

/// The names of the arms of a sweep.
#[derive(Debug, Clone)]
pub struct SweepArms<'a> {
    /// Replay off: all others are compared with it.
    pub off: &'a str,
    /// The base alone.
    pub base: &'a str,
    /// The policy of the configuration.
    pub configured: &'a str,
    /// Every visual row of every residual.
    pub ceiling: &'a str,
    /// Every visual row of one residual, for each that was swept, ascending.
    pub residuals: Vec<(usize, &'a str)>,
}

/// The result of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sweep {
    /// What is compared.
    pub outcome: Outcome,
    /// Number of prompts that every arm has answered.
    pub prompts: usize,
    /// The outcome with replay off.
    pub off: Option<Estimate>,
    /// The outcome of the base alone.
    pub base: Option<Estimate>,
    /// The effect of each residual alone.
    pub residuals: Vec<Effect>,
    /// The effect of all residuals together.
    pub ceiling: Option<Effect>,
    /// The effect of the configuration's policy.
    pub configured: Option<Effect>,
    /// The policy's effect as a share of the ceiling; `None` if the ceiling's interval contains 0.
    pub reached: Option<Estimate>,
    /// Settings that the effects suggest; `None` if no residual has an effect that can be told from zero.
    pub proposal: Option<Proposal>,
    /// How intervals and p-values were computed.
    pub resampling: Resampling,
}

/// Computes the effects from the records of all arms, on the prompts that every arm has answered. The p-values are corrected together.
#[must_use]
pub fn sweep<'a>(
    records: impl IntoIterator<Item = &'a Record>,
    arms: &SweepArms<'_>,
    outcome: Outcome,
    resampling: &Resampling,
) -> Sweep {
    let mut responses: BTreeMap<&str, Responses<'_>> = BTreeMap::new();
    for record in records {
        responses.entry(record.arm.as_str()).or_default().add(record);
    }
    let swept = arms.residuals.iter().map(|(_, name)| *name);
    let compared: Vec<&str> = swept.chain([arms.ceiling, arms.configured]).collect();
    let all = compared.iter().copied().chain([arms.off, arms.base]);
    let of_each: Option<Vec<&Responses<'_>>> = all.map(|name| responses.get(name)).collect();
    let prompts = of_each.map(|each| Responses::common(&each)).unwrap_or_default();
    let empty = Responses::default();
    let of = |name: &str| responses.get(name).unwrap_or(&empty);
    let (off, base) = (of(arms.off), of(arms.base));
    let values = |name: &str| outcome.values(of(name), base, &prompts);
    let estimate = |values: &[f64]| statistics::estimate(values, resampling);

    let off_values = values(arms.off);
    let each: Vec<(&str, &Responses<'_>, Vec<f64>)> =
        compared.iter().map(|&name| (name, of(name), values(name))).collect();
    let mut effects = effects(&each, &off_values, (off, base), &prompts, outcome, resampling);
    let configured = effects.pop();
    let ceiling = effects.pop();
    for (effect, (residual, _)) in effects.iter_mut().zip(&arms.residuals) {
        effect.residual = Some(*residual);
    }
    let reached = statistics::ratio(&changes(&values(arms.configured), &values(arms.ceiling), &off_values), resampling);
    Sweep {
        outcome,
        prompts: prompts.len(),
        off: estimate(&off_values),
        base: estimate(&values(arms.base)),
        proposal: Proposal::of(&effects),
        residuals: effects,
        ceiling,
        configured,
        reached,
        resampling: *resampling,
    }
}

/// The change of two arms against a third, prompt by prompt.
fn changes(first: &[f64], second: &[f64], off: &[f64]) -> Vec<(f64, f64)> {
    let both = first.iter().zip(second).zip(off);
    both.map(|((first, second), off)| (first - off, second - off)).collect()
}

#[cfg(test)]
mod tests;
