//! Runs one arm over the data set, several requests at a time, and records each answer when it arrives.
use std::sync::Arc;

use crate::evaluation::{Item, Journal, Record, Verifier};
use replay_core::session::{Answer, Directive, Prompt, Sampling, SessionError};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::super::args::EvalArgs;
use super::super::{data, open};
use super::arm::Arm;

/// One answer to generate: the item's index, and the sample (`None`: greedy).
type Task = (usize, Option<u32>);

pub(super) async fn arm(
    arm: &Arm,
    items: &[Item],
    verifier: &Verifier,
    args: &EvalArgs,
    journal: &mut Journal,
) -> anyhow::Result<()> {
    let tasks = missing_answers(arm, items, args, journal);
    if tasks.is_empty() {
        return Ok(());
    }
    let session = open::session(&arm.config).await?;
    let bar = open::bar(tasks.len() as u64, &arm.name);
    let slots = Arc::new(Semaphore::new(args.concurrency as usize));
    let mut running: JoinSet<(Task, u64, Result<Answer, SessionError>)> = JoinSet::new();
    let mut prompt: Option<(usize, Option<Prompt>)> = None;
    let mut failed = None;
    for task in tasks {
        let (index, sample) = task;
        if prompt.as_ref().is_none_or(|(of, _)| *of != index) {
            prompt = Some((index, data::prompt(&items[index], args.data.keep_going)?));
        }
        let Some((_, Some(prompt))) = &prompt else { continue };
        let slot = slots.clone().acquire_owned().await?;
        while let Some(done) = running.try_join_next() {
            failed = failed.or(record(arm, items, verifier, args, journal, done?, &bar)?);
        }
        if failed.is_some() {
            break;
        }
        let seed = seed(args.seed, &items[index], sample);
        let sampling = Sampling {
            max_tokens: Some(args.max_tokens as usize),
            temperature: sample.map(|_| args.temperature),
            seed: sample.map(|_| seed),
            ..Sampling::default()
        };
        let (session, prompt) = (session.clone(), prompt.clone());
        running.spawn(async move {
            let answer = session.answer(prompt, sampling, Directive::default()).await;
            drop(slot);
            (task, seed, answer)
        });
    }
    while let Some(done) = running.join_next().await {
        failed = failed.or(record(arm, items, verifier, args, journal, done?, &bar)?);
    }
    bar.finish_and_clear();
    match failed {
        // The answers so far are recorded, so the next run continues from them.
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// The answers that the journal lacks, item by item and the greedy answer first, so that the samples of a prompt find its replay in the
/// cache.
fn missing_answers(arm: &Arm, items: &[Item], args: &EvalArgs, journal: &Journal) -> Vec<Task> {
    let samples = std::iter::once(None).chain((0..args.samples).map(Some));
    let all = (0..items.len()).flat_map(|index| samples.clone().map(move |sample| (index, sample)));
    all.filter(|&(index, sample)| journal.find(&arm.name, &items[index], sample).is_none()).collect()
}

/// The seed of a sample. It is the same for every arm, so that the arms differ by the model and not by chance.
fn seed(run: u64, item: &Item, sample: Option<u32>) -> u64 {
    let text = format!("{run} {} {sample:?}", item.fingerprint);
    let hash = blake3::hash(text.as_bytes());
    u64::from_le_bytes(std::array::from_fn(|i| hash.as_bytes()[i]))
}

/// Records one answer. Returns the error that should end the run, if there is one.
fn record(
    arm: &Arm,
    items: &[Item],
    verifier: &Verifier,
    args: &EvalArgs,
    journal: &mut Journal,
    (task, seed, answer): (Task, u64, Result<Answer, SessionError>),
    bar: &indicatif::ProgressBar,
) -> anyhow::Result<Option<anyhow::Error>> {
    let (index, sample) = task;
    let item = &items[index];
    bar.inc(1);
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) if args.data.keep_going => {
            eprintln!("left out: {}, line {}: {error}", arm.name, item.line);
            return Ok(None);
        }
        Err(error) => return Ok(Some(anyhow::Error::from(error).context(format!("{}, line {}", arm.name, item.line)))),
    };
    let choice = answer.choices.into_iter().next().unwrap_or_default();
    let text = choice.text;
    let judgement = verifier.judge(&text, &item.answer);
    journal.append(Record {
        arm: arm.name.clone(),
        item: item.line,
        fingerprint: item.fingerprint.clone(),
        sample,
        seed,
        tokens: answer.usage.completion_tokens as u32,
        finish_reason: choice.finish_reason,
        answer: judgement.answer,
        correct: judgement.correct,
        time_to_first_token_ms: Some(answer.time_to_first_token_ms),
        replay_status: answer.replay.map(|report| report.status),
        text,
    })?;
    Ok(None)
}
