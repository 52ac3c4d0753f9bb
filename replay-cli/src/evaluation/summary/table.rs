//! What a summary holds.
use std::collections::BTreeMap;

use serde::Serialize;

use super::metric::Metric;
use crate::evaluation::{Estimate, Resampling};

/// The summary of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The arms in the order asked for, including arms without records.
    pub arms: Vec<ArmSummary>,
    /// Every other arm compared with the reference arm, metric by metric.
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
    /// Number of different answers among the samples of a prompt, in [`canonical`](crate::evaluation::verifier::canonical) form; texts without an
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
    /// The p-value after Holm's correction for all arms that are compared in this metric.
    pub p_corrected: f64,
}
