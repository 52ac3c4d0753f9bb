//! Groups the records of one arm by prompt.
use std::collections::{BTreeMap, BTreeSet};

use crate::evaluation::record::Record;
use crate::evaluation::verifier::canonical;

/// The prompts of an arm, by line and fingerprint, so that a changed prompt is another prompt.
pub(super) type Prompts<'a> = BTreeMap<(usize, &'a str), Prompt>;

/// The answers of an arm to one prompt.
#[derive(Debug, Default)]
pub(super) struct Prompt {
    /// Number of samples.
    pub(super) samples: u32,
    /// Number of right samples.
    pub(super) correct: u32,
    /// Number of tokens over all samples.
    pub(super) tokens: u64,
    /// The different answers among the samples.
    pub(super) answers: BTreeSet<String>,
    /// Whether the greedy answer is right, and its number of tokens.
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
