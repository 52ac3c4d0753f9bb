//! The metrics of the answers to one prompt.
use std::fmt;

use serde::{Serialize, Serializer};

use super::prompts::Prompt;
use crate::evaluation::statistics;

/// A metric with one value per prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// The probability that at least one of `k` samples is right.
    PassAt(u32),
    /// 1 if the greedy answer is right, else 0.
    Greedy,
    /// Mean number of tokens of a sample.
    Tokens,
    /// Number of tokens of the greedy answer.
    GreedyTokens,
    /// Number of different answers among the samples.
    DistinctAnswers,
}

impl Metric {
    /// The metric of length: tokens of the samples if prompts have samples, else of the greedy answers.
    pub(super) fn tokens(samples: u32) -> Self {
        if samples > 0 { Self::Tokens } else { Self::GreedyTokens }
    }

    /// All metrics for prompts with at most this many samples.
    pub(super) fn all(samples: u32) -> impl Iterator<Item = Self> {
        powers_of_two(samples).map(Self::PassAt).chain([Self::Greedy, Self::tokens(samples), Self::DistinctAnswers])
    }

    /// The value for one prompt; `None` if the metric does not apply to it.
    pub(super) fn of(self, prompt: &Prompt) -> Option<f64> {
        let sampled = prompt.samples > 0;
        match self {
            Self::PassAt(k) => statistics::pass_at(prompt.samples, prompt.correct, k),
            Self::Greedy => prompt.greedy.map(|(correct, _)| f64::from(u8::from(correct))),
            Self::Tokens => sampled.then(|| prompt.tokens as f64 / f64::from(prompt.samples)),
            Self::GreedyTokens => prompt.greedy.map(|(_, tokens)| f64::from(tokens)),
            Self::DistinctAnswers => sampled.then_some(prompt.answers.len() as f64),
        }
    }
}

/// 1, 2, 4 and so on, up to `max`.
pub(super) fn powers_of_two(max: u32) -> impl Iterator<Item = u32> {
    std::iter::successors(Some(1u32), |k| k.checked_mul(2)).take_while(move |&k| k <= max)
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PassAt(k) => write!(f, "pass@{k}"),
            Self::Greedy => f.write_str("greedy"),
            Self::Tokens => f.write_str("tokens"),
            Self::GreedyTokens => f.write_str("greedy tokens"),
            Self::DistinctAnswers => f.write_str("distinct answers"),
        }
    }
}

impl Serialize for Metric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
