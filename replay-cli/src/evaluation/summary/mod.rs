//! Summary of the records: the metrics of each arm, and its paired differences from a reference arm.
mod metric;
mod pairing;
mod prompts;
mod table;

use std::collections::BTreeMap;

use super::{Record, Resampling};
use replay_core::Status;

pub use metric::Metric;

pub use table::{ArmSummary, Paired, PassAt, ReplayCounts, Summary};

use prompts::Prompts;

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
            let mut paired: Vec<Paired> = others.filter_map(of_arm).flatten().collect();
            pairing::correct(&mut paired);
            paired
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
