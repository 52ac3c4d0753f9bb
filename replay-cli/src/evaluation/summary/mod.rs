//! From records to a table: how each arm does, and whether it differs from another on the same prompts.
mod metric;
mod pairing;
mod prompts;

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Estimate, Record, Resampling};
use replay_core::Status;

pub use metric::Metric;

use prompts::{Prompt, Prompts};

/// What a run has shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// In the order asked for; an arm without records is among them.
    pub arms: Vec<ArmSummary>,
    /// Every other arm against the reference, metric by metric. The p-values are not corrected for how many there are.
    pub paired: Vec<Paired>,
    /// How intervals and p-values were computed.
    pub resampling: Resampling,
}

/// How one arm does. Each mean is one over prompts of a prompt's own value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ArmSummary {
    /// The arm.
    pub name: String,
    /// Prompts with an answer.
    pub prompts: usize,
    /// Samples over all prompts, greedy answers not among them.
    pub samples: usize,
    /// pass@k for each power of two up to the most samples that a prompt has.
    pub pass_at: Vec<PassAt>,
    /// Share of prompts whose greedy answer is right.
    pub greedy: Option<Estimate>,
    /// Tokens of an answer: of the samples; in a run without samples, of the greedy answers.
    pub mean_tokens: Option<Estimate>,
    /// How many different answers the samples of a prompt have, equal numbers being equal; texts without an answer count for nothing.
    pub distinct_answers: Option<Estimate>,
    /// Share of texts, samples and greedy ones, in which the verifier found no answer; 0 without texts.
    pub unanswered: f64,
    /// How often each reason ended a text: too many cut off by length say more than any accuracy.
    pub finish_reasons: BTreeMap<String, usize>,
    /// What replay did.
    pub replay: ReplayCounts,
}

/// pass@k of one arm.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PassAt {
    /// Tries.
    pub k: u32,
    /// Prompts with at least `k` samples.
    pub prompts: usize,
    /// The chance that one of `k` is right.
    pub estimate: Estimate,
}

/// Texts by what replay did to their prompt; texts without replay are in none of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ReplayCounts {
    /// Replayed.
    pub replayed: usize,
    /// The policy selected nothing: the same as without replay.
    pub nothing_selected: usize,
    /// Nothing was learned: the same as without replay.
    pub unchanged: usize,
    /// Passed through after a failure: the same as without replay.
    pub passthrough: usize,
}

/// One arm against another, on the prompts that both have answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Paired {
    /// The arm.
    pub arm: String,
    /// The arm that it is compared with.
    pub against: String,
    /// What is compared.
    pub metric: Metric,
    /// Prompts with a value in both.
    pub prompts: usize,
    /// Prompts with a value in only one of them, and therefore left out.
    pub left_out: usize,
    /// Mean of arm minus `against`.
    pub difference: Estimate,
    /// Two-sided p-value of a sign-flip test.
    pub p: f64,
}

/// Summarises the records of `arms`; those of other arms are left out. Every arm is compared with `reference`, if that is one of them.
#[must_use]
pub fn summarise<'a>(
    records: impl IntoIterator<Item = &'a Record>,
    arms: &[&str],
    reference: Option<&str>,
    resampling: &Resampling,
) -> Summary {
    let mut of: BTreeMap<&str, Vec<&Record>> = arms.iter().map(|&arm| (arm, Vec::new())).collect();
    for record in records {
        if let Some(records) = of.get_mut(record.arm.as_str()) {
            records.push(record);
        }
    }
    let prompts: BTreeMap<&str, Prompts<'_>> =
        of.iter().map(|(&arm, records)| (arm, prompts::group(records))).collect();
    let most = prompts.values().flat_map(BTreeMap::values).map(|prompt| prompt.samples).max().unwrap_or(0);
    let summaries =
        arms.iter().filter_map(|&arm| Some(summary(arm, of.get(arm)?, prompts.get(arm)?, most, resampling)));
    let paired = match reference.and_then(|reference| Some((reference, prompts.get(reference)?))) {
        None => Vec::new(),
        Some((against, theirs)) => {
            let others = arms.iter().filter(|&&arm| arm != against);
            let of_arm =
                |&arm: &&str| Some(pairing::against((arm, prompts.get(arm)?), (against, theirs), most, resampling));
            others.filter_map(of_arm).flatten().collect()
        }
    };
    Summary { arms: summaries.collect(), paired, resampling: *resampling }
}

fn summary(name: &str, records: &[&Record], prompts: &Prompts<'_>, most: u32, resampling: &Resampling) -> ArmSummary {
    let estimate = |metric: Metric| {
        let values: Vec<f64> = prompts.values().filter_map(|prompt| metric.of(prompt)).collect();
        super::statistics::estimate(&values, resampling).map(|estimate| (values.len(), estimate))
    };
    let pass_at = |k| estimate(Metric::PassAt(k)).map(|(prompts, estimate)| PassAt { k, prompts, estimate });
    let mean = |metric| estimate(metric).map(|(_, estimate)| estimate);
    let mut finish_reasons = BTreeMap::new();
    let mut replay = ReplayCounts::default();
    for record in records {
        *finish_reasons.entry(record.finish_reason.clone()).or_default() += 1;
        match record.replay_status {
            None => {}
            Some(Status::Replayed) => replay.replayed += 1,
            Some(Status::NothingSelected) => replay.nothing_selected += 1,
            Some(Status::Unchanged) => replay.unchanged += 1,
            Some(Status::Passthrough) => replay.passthrough += 1,
        }
    }
    let unanswered = records.iter().filter(|record| record.answer.is_none()).count();
    ArmSummary {
        name: name.to_owned(),
        prompts: prompts.len(),
        samples: prompts.values().map(|prompt| prompt.samples as usize).sum(),
        pass_at: metric::powers_of_two(most).filter_map(pass_at).collect(),
        greedy: mean(Metric::Greedy),
        mean_tokens: mean(Metric::tokens(most)),
        distinct_answers: mean(Metric::DistinctAnswers),
        unanswered: unanswered as f64 / records.len().max(1) as f64,
        finish_reasons,
        replay,
    }
}

#[cfg(test)]
mod tests;
