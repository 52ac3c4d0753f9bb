//! What a sweep compares: right answers, or without them the likeness to the base's answers.
use std::collections::BTreeMap;

use serde::Serialize;

use crate::evaluation::Record;
use crate::evaluation::verifier::canonical;

/// What is compared, a number from 0 to 1 for each prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The share of right samples (pass@1), or whether the greedy answer is right in a run without samples.
    Right,
    /// The share of answers that equal the base's answer to the same prompt with the same seed: for prompts without a right answer.
    LikeBase,
}

/// A prompt: its line and its fingerprint.
pub(super) type PromptKey<'a> = (usize, &'a str);

/// What one arm answered to one prompt, by sample (`None`: greedy): the answer, and whether it is right.
type Samples = BTreeMap<Option<u32>, (String, bool)>;

/// The answers of one arm.
#[derive(Debug, Default)]
pub(super) struct Responses<'a>(BTreeMap<PromptKey<'a>, Samples>);

impl<'a> Responses<'a> {
    pub(super) fn add(&mut self, record: &'a Record) {
        // Two texts without an answer are alike if they are equal.
        let answer = record.answer.as_deref().map_or_else(|| record.text.clone(), canonical);
        let samples = self.0.entry((record.item, &record.fingerprint)).or_default();
        samples.insert(record.sample, (answer, record.correct));
    }

    /// The prompts that all of these have answered.
    pub(super) fn common(all: &[&Self]) -> Vec<PromptKey<'a>> {
        let Some((first, others)) = all.split_first() else { return Vec::new() };
        let in_all = |key: &&PromptKey<'a>| others.iter().all(|responses| responses.0.contains_key(*key));
        first.0.keys().filter(in_all).copied().collect()
    }

    /// The samples of a prompt, or its greedy answer if there are no samples.
    fn compared(&self, key: &PromptKey<'a>) -> impl Iterator<Item = (Option<u32>, &(String, bool))> {
        let samples = self.0.get(key);
        let sampled = samples.is_some_and(|samples| samples.keys().any(Option::is_some));
        let wanted = move |(sample, _): &(&Option<u32>, _)| sample.is_some() == sampled;
        samples.into_iter().flatten().filter(wanted).map(|(sample, answer)| (*sample, answer))
    }

    /// The share of right answers to a prompt.
    fn right(&self, key: &PromptKey<'a>) -> f64 {
        share(self.compared(key).map(|(_, (_, right))| *right))
    }

    /// Whether the greedy answer is right; `None` without one.
    pub(super) fn greedy(&self, key: &PromptKey<'a>) -> Option<bool> {
        self.0.get(key)?.get(&None).map(|(_, right)| *right)
    }

    /// Whether any sample is right.
    pub(super) fn solved(&self, key: &PromptKey<'a>) -> bool {
        self.compared(key).any(|(_, (_, right))| *right)
    }

    /// The share of answers to a prompt that equal those of another arm with the same seed.
    pub(super) fn like(&self, other: &Self, key: &PromptKey<'a>) -> f64 {
        let theirs = |sample| Some(&other.0.get(key)?.get(&sample)?.0);
        share(self.compared(key).map(|(sample, (answer, _))| theirs(sample) == Some(answer)))
    }
}

impl Outcome {
    /// The outcome of each prompt.
    pub(super) fn values(self, of: &Responses<'_>, base: &Responses<'_>, prompts: &[PromptKey<'_>]) -> Vec<f64> {
        let value = |key: &PromptKey<'_>| match self {
            Self::Right => of.right(key),
            Self::LikeBase => of.like(base, key),
        };
        prompts.iter().map(value).collect()
    }
}

fn share(values: impl Iterator<Item = bool>) -> f64 {
    let (count, hits) = values.fold((0, 0), |(count, hits), hit| (count + 1, hits + u32::from(hit)));
    if count == 0 { 0.0 } else { f64::from(hits) / f64::from(count) }
}
