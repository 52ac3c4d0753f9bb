//! Summary of the records: the metrics of each arm, and its paired differences from a reference arm.
mod metric;
mod pairing;
mod prompts;

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Estimate, Record, Resampling};
use replay_core::Status;

pub use metric::Metric;

use prompts::{Prompt, Prompts};

/// The summary of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The arms in the order asked for, including arms without records.
    pub arms: Vec<ArmSummary>,
    /// Every other arm compared with the reference arm, metric by metric. The p-values are not corrected for multiple tests.
    pub paired: Vec<Paired>,
    /// How intervals and p-values were computed.
    pub resampling: Resampling,
}

/// The metrics of one arm. Each mean is a mean over prompts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ArmSummary {
    /// The arm.
    pub name: String,
    /// Number of prompts with an answer.
    pub prompts: usize,
    /// Number of samples over all prompts, without greedy answers.
    pub samples: usize,
    /// pass@k for each power of two up to the largest number of samples of a prompt.
    pub pass_at: Vec<PassAt>,
    /// Share of prompts whose greedy answer is right.
    pub greedy: Option<Estimate>,
    /// Tokens per sample, or per greedy answer in a run without samples.
    pub mean_tokens: Option<Estimate>,
    /// Number of different answers among the samples of a prompt, in [`canonical`](super::verifier::canonical) form; texts without an
    /// answer are not counted.
    pub distinct_answers: Option<Estimate>,
    /// Share of texts, samples and greedy answers, in which the verifier found no answer; 0 without texts.
    pub unanswered: f64,
    /// How often each reason ended a text. Many texts that were cut off by length make the accuracies meaningless.
    pub finish_reasons: BTreeMap<String, usize>,
    /// Texts by the status of replay.
    pub replay: ReplayCounts,
}

/// pass@k of one arm.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PassAt {
    /// The number of samples that count as one try.
    pub k: u32,
    /// Number of prompts with at least `k` samples.
    pub prompts: usize,
    /// The probability that at least one of `k` samples is right.
    pub estimate: Estimate,
}

/// Numbers of texts by the status of replay; texts of arms without replay are not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ReplayCounts {
    /// Texts whose prompt was replayed.
    pub replayed: usize,
    /// Texts whose prompt had no selected row, and was answered without replay.
    pub nothing_selected: usize,
    /// Texts for whose prompt nothing was learned, and which was answered without replay.
    pub unchanged: usize,
    /// Texts whose prompt was passed through, and was answered without replay.
    pub passthrough: usize,
}

/// The comparison of one arm with another, on the prompts that both have answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Paired {
    /// The arm.
    pub arm: String,
    /// The arm that it is compared with.
    pub against: String,
    /// The metric that is compared.
    pub metric: Metric,
    /// Number of prompts with a value in both arms.
    pub prompts: usize,
    /// Number of prompts with a value in only one arm, which are left out.
    pub left_out: usize,
    /// Mean difference, `arm` minus `against`.
    pub difference: Estimate,
    /// Two-sided p-value of a sign-flip test.
    pub p: f64,
}

/// Summarises the records of `arms`; those of other arms are ignored. Every arm is compared with `reference`, if that is one of them.
#[must_use]
pub fn summarise<'a>(
    records: impl IntoIterator<Item = &'a Record>,
    arms: &[&str],
    reference: Option<&str>,
    resampling: &Resampling,
) -> Summary {
    let mut records_of: BTreeMap<&str, Vec<&Record>> = arms.iter().map(|&arm| (arm, Vec::new())).collect();
    for record in records {
        if let Some(records) = records_of.get_mut(record.arm.as_str()) {
            records.push(record);
        }
    }
    let prompts: BTreeMap<&str, Prompts<'_>> =
        records_of.iter().map(|(&arm, records)| (arm, prompts::group(records))).collect();
    let max_samples = prompts.values().flat_map(BTreeMap::values).map(|prompt| prompt.samples).max().unwrap_or(0);
    let summaries = arms
        .iter()
        .filter_map(|&arm| Some(summary(arm, records_of.get(arm)?, prompts.get(arm)?, max_samples, resampling)));
    let paired = match reference.and_then(|reference| Some((reference, prompts.get(reference)?))) {
        None => Vec::new(),
        Some((against, reference_prompts)) => {
            let others = arms.iter().filter(|&&arm| arm != against);
            let of_arm = |&arm: &&str| {
                Some(pairing::compare((arm, prompts.get(arm)?), (against, reference_prompts), max_samples, resampling))
            };
            others.filter_map(of_arm).flatten().collect()
        }
    };
    Summary { arms: summaries.collect(), paired, resampling: *resampling }
}

fn summary(
    name: &str,
    records: &[&Record],
    prompts: &Prompts<'_>,
    max_samples: u32,
    resampling: &Resampling,
) -> ArmSummary {
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
        pass_at: metric::powers_of_two(max_samples).filter_map(pass_at).collect(),
        greedy: mean(Metric::Greedy),
        mean_tokens: mean(Metric::tokens(max_samples)),
        distinct_answers: mean(Metric::DistinctAnswers),
        unanswered: unanswered as f64 / records.len().max(1) as f64,
        finish_reasons,
        replay,
    }
}

#[cfg(test)]
mod tests;
