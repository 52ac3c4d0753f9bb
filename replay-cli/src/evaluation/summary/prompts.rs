//! The answers of one arm, prompt by prompt.
use std::collections::{BTreeMap, BTreeSet};

use super::Record;
use crate::evaluation::verifier::canonical;

/// By line and fingerprint: two prompts that differ are two, though they stood on one line.
pub(super) type Prompts<'a> = BTreeMap<(usize, &'a str), Prompt>;

/// What an arm said to one prompt.
#[derive(Debug, Default)]
pub(super) struct Prompt {
    /// Samples, and right ones among them.
    pub(super) samples: u32,
    pub(super) correct: u32,
    /// Tokens over all samples.
    pub(super) tokens: u64,
    /// Different answers among the samples.
    pub(super) answers: BTreeSet<String>,
    /// Whether the greedy answer is right, and its tokens.
    pub(super) greedy: Option<(bool, u32)>,
}

pub(super) fn group<'a>(records: &[&'a Record]) -> Prompts<'a> {
    let mut prompts = Prompts::new();
    for record in records {
        let prompt = prompts.entry((record.item, record.fingerprint.as_str())).or_default();
        if record.sample.is_none() {
            prompt.greedy = Some((record.correct, record.tokens));
            continue;
        }
        prompt.samples += 1;
        prompt.correct += u32::from(record.correct);
        prompt.tokens += u64::from(record.tokens);
        prompt.answers.extend(record.answer.as_deref().map(canonical));
    }
    prompts
}
