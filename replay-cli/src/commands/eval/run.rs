//! One arm over the whole data set, several requests at a time, each answer written down as it comes.
use std::sync::Arc;

use crate::evaluation::{Item, Journal, Record, Verifier};
use replay_core::session::{Answer, Directive, Prompt, Sampling, SessionError};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::super::args::EvalArgs;
use super::super::{data, open};
use super::arm::Arm;

/// What is still to be asked: the item's index, and the sample (`None`: greedy).
type Question = (usize, Option<u32>);

pub(super) async fn arm(
    arm: &Arm,
    items: &[Item],
    verifier: &Verifier,
    args: &EvalArgs,
    journal: &mut Journal,
) -> anyhow::Result<()> {
    let questions = open_questions(arm, items, args, journal);
    if questions.is_empty() {
        return Ok(());
    }
    let session = open::session(&arm.config).await?;
    let bar = open::bar(questions.len() as u64, &arm.name);
    let slots = Arc::new(Semaphore::new(args.concurrency as usize));
    let mut running: JoinSet<(Question, u64, Result<Answer, SessionError>)> = JoinSet::new();
    let mut prompt: Option<(usize, Option<Prompt>)> = None;
    let mut failed = None;
    for question in questions {
        let (index, sample) = question;
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
            (question, seed, answer)
        });
    }
    while let Some(done) = running.join_next().await {
        failed = failed.or(record(arm, items, verifier, args, journal, done?, &bar)?);
    }
    bar.finish_and_clear();
    match failed {
        // What was answered is written down: the next run goes on from there.
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Item by item, the greedy answer first: all samples of a prompt come while its replay is in the cache.
fn open_questions(arm: &Arm, items: &[Item], args: &EvalArgs, journal: &Journal) -> Vec<Question> {
    let samples = std::iter::once(None).chain((0..args.samples).map(Some));
    let all = (0..items.len()).flat_map(|index| samples.clone().map(move |sample| (index, sample)));
    all.filter(|&(index, sample)| journal.find(&arm.name, &items[index], sample).is_none()).collect()
}

/// The same for every arm: arms differ by what they do to the model, not by luck.
fn seed(run: u64, item: &Item, sample: Option<u32>) -> u64 {
    let text = format!("{run} {} {sample:?}", item.fingerprint);
    let hash = blake3::hash(text.as_bytes());
    u64::from_le_bytes(std::array::from_fn(|i| hash.as_bytes()[i]))
}

/// Writes one answer down; gives back what should end the run.
fn record(
    arm: &Arm,
    items: &[Item],
    verifier: &Verifier,
    args: &EvalArgs,
    journal: &mut Journal,
    (question, seed, answer): (Question, u64, Result<Answer, SessionError>),
    bar: &indicatif::ProgressBar,
) -> anyhow::Result<Option<anyhow::Error>> {
    let (index, sample) = question;
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
    let verdict = verifier.judge(&text, &item.answer);
    journal.append(Record {
        arm: arm.name.clone(),
        item: item.line,
        fingerprint: item.fingerprint.clone(),
        sample,
        seed,
        tokens: answer.usage.completion_tokens as u32,
        finish_reason: choice.finish_reason,
        answer: verdict.answer,
        correct: verdict.correct,
        time_to_first_token_ms: Some(answer.time_to_first_token_ms),
        replay_status: answer.replay.map(|report| report.status),
        text,
    })?;
    Ok(None)
}
