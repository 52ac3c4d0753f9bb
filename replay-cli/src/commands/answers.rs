//! Generates the answers of one arm of an evaluation, several requests at a time, and records each when it arrives.
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::args::{AnswerArgs, DataArgs};
use super::exit::InputError;
use super::{data, open};
use crate::evaluation::{Item, Journal, Record, Verifier, dataset};
use replay_core::session::{Answer, Directive, Prompt, Sampling, Session, SessionError};

/// What is asked: the same for every arm.
pub(super) struct Questions {
    pub(super) items: Vec<Item>,
    /// The verifier of lines that name none.
    verifier: Verifier,
    /// The verifiers that lines name, by line.
    named: BTreeMap<usize, Verifier>,
    systems: Systems,
    args: AnswerArgs,
    keep_going: bool,
}

/// The system prompts of lines that have none.
#[derive(Debug, Default)]
pub(super) struct Systems {
    pub(super) all: Option<String>,
    /// By arm; these come before those of lines.
    pub(super) arms: BTreeMap<String, String>,
}

/// One answer to generate: the item's index, and the sample (`None`: greedy).
type Task = (usize, Option<u32>);

impl Questions {
    /// The items whose right answer, if they have one, the verifier accepts. Without `keep_going`, any other item is an error.
    pub(super) fn new(items: Vec<Item>, args: AnswerArgs, data: &DataArgs, systems: Systems) -> anyhow::Result<Self> {
        let verifier: Verifier = args.verifier.parse().map_err(|e| InputError(format!("--verifier: {e}")))?;
        let mut named = BTreeMap::new();
        let mut broken = BTreeMap::new();
        for item in &items {
            match item.verifier.as_deref().map(str::parse::<Verifier>) {
                None => {}
                Some(Ok(verifier)) => drop(named.insert(item.line, verifier)),
                Some(Err(e)) => drop(broken.insert(item.line, e)),
            }
        }
        let problem = |item: &Item| {
            if let Some(e) = broken.get(&item.line) {
                return Some(format!("line {}: verifier: {e}", item.line));
            }
            let verifier = named.get(&item.line).unwrap_or(&verifier);
            let refused = item.answer.as_deref().and_then(|answer| verifier.accepts(answer).err());
            refused.map(|e| format!("line {}: answer: {e}", item.line))
        };
        let problems: Vec<String> = items.iter().filter_map(problem).collect();
        if !problems.is_empty() && !data.keep_going {
            return Err(InputError(problems.join("\n")).into());
        }
        problems.iter().for_each(|problem| eprintln!("left out: {problem}"));
        let items = items.into_iter().filter(|item| problem(item).is_none()).collect();
        Ok(Self { items, verifier, named, systems, args, keep_going: data.keep_going })
    }

    /// Everything that determines the records of a run with these arms, by name and fingerprint.
    pub(super) fn settings(&self, arms: serde_json::Map<String, Value>) -> Value {
        let mut settings = json!({
            "data": dataset::fingerprint(&self.items),
            "samples": self.args.samples,
            "temperature": self.args.temperature,
            "seed": self.args.seed,
            "max_tokens": self.args.max_tokens,
            "verifier": self.verifier.to_string(),
            "arms": arms,
        });
        // Records of runs without them stay those of runs without them.
        if let Some(system) = &self.systems.all {
            settings["system"] = json!(system);
        }
        if !self.systems.arms.is_empty() {
            settings["arm_systems"] = json!(self.systems.arms);
        }
        settings
    }

    /// Opens the journal of a run, where `--out` says or else beside the data.
    pub(super) fn journal(&self, beside: PathBuf, settings: &Value) -> anyhow::Result<(PathBuf, Journal)> {
        let path = self.args.out.clone().unwrap_or(beside);
        let journal = Journal::open(&path, settings).map_err(|e| InputError(e.to_string()))?;
        if journal.dropped() > 0 {
            eprintln!("{}: {} bytes of an unfinished record were cut off", path.display(), journal.dropped());
        }
        Ok((path, journal))
    }

    /// One line about the run, for its tables and pages.
    pub(super) fn about(&self, rlvr: &str, base: &str) -> String {
        format!(
            "{rlvr} and {base}: {} prompts, {} samples each at temperature {}, verifier {}",
            self.items.len(),
            self.args.samples,
            self.args.temperature,
            self.verifier
        )
    }

    /// Whether the journal lacks answers of this arm.
    pub(super) fn lacks(&self, arm: &str, journal: &Journal) -> bool {
        !self.missing(arm, journal).is_empty()
    }

    /// Generates and records the answers of this arm that the journal lacks.
    ///
    /// # Errors
    /// The first request that fails, unless `--keep-going` is set. The answers so far are recorded, so the next run continues from them.
    pub(super) async fn answer(
        &self,
        arm: &str,
        session: &Arc<dyn Session>,
        directive: Directive,
        journal: &mut Journal,
    ) -> anyhow::Result<()> {
        let tasks = self.missing(arm, journal);
        let bar = open::bar(tasks.len() as u64, arm);
        let slots = Arc::new(Semaphore::new(self.args.concurrency as usize));
        let mut running: JoinSet<(Task, u64, Result<Answer, SessionError>)> = JoinSet::new();
        let mut prompt: Option<(usize, Option<Prompt>)> = None;
        let mut failed = None;
        for task in tasks {
            let (index, sample) = task;
            if prompt.as_ref().is_none_or(|(of, _)| *of != index) {
                prompt = Some((index, data::prompt(&self.items[index], self.keep_going)?));
            }
            let Some((_, Some(prompt))) = &prompt else { continue };
            let slot = slots.clone().acquire_owned().await?;
            while let Some(done) = running.try_join_next() {
                failed = failed.or(self.record(arm, journal, done?, &bar)?);
            }
            if failed.is_some() {
                break;
            }
            let seed = seed(self.args.seed, &self.items[index], sample);
            let sampling = Sampling {
                max_tokens: Some(self.args.max_tokens as usize),
                temperature: sample.map(|_| self.args.temperature),
                seed: sample.map(|_| seed),
                ..Sampling::default()
            };
            let (session, mut prompt) = (session.clone(), prompt.clone());
            if let Some(system) = self.systems.arms.get(arm) {
                prompt.system = Some(system.clone());
            } else if prompt.system.is_none() {
                prompt.system.clone_from(&self.systems.all);
            }
            running.spawn(async move {
                let answer = session.answer(prompt, sampling, directive).await;
                drop(slot);
                (task, seed, answer)
            });
        }
        while let Some(done) = running.join_next().await {
            failed = failed.or(self.record(arm, journal, done?, &bar)?);
        }
        bar.finish_and_clear();
        failed.map_or(Ok(()), Err)
    }

    /// The answers that the journal lacks, item by item and the greedy answer first, so that the samples of a prompt find its replay in
    /// the cache.
    fn missing(&self, arm: &str, journal: &Journal) -> Vec<Task> {
        let samples = std::iter::once(None).chain((0..self.args.samples).map(Some));
        let all = (0..self.items.len()).flat_map(|index| samples.clone().map(move |sample| (index, sample)));
        all.filter(|&(index, sample)| journal.find(arm, &self.items[index], sample).is_none()).collect()
    }

    /// Records one answer. Returns the error that should end the run, if there is one.
    fn record(
        &self,
        arm: &str,
        journal: &mut Journal,
        (task, seed, answer): (Task, u64, Result<Answer, SessionError>),
        bar: &indicatif::ProgressBar,
    ) -> anyhow::Result<Option<anyhow::Error>> {
        let (index, sample) = task;
        let item = &self.items[index];
        bar.inc(1);
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) if self.keep_going => {
                eprintln!("left out: {arm}, line {}: {error}", item.line);
                return Ok(None);
            }
            Err(error) => return Ok(Some(anyhow::Error::from(error).context(format!("{arm}, line {}", item.line)))),
        };
        let choice = answer.choices.into_iter().next().unwrap_or_default();
        let text = choice.whole().into_owned();
        let verifier = self.named.get(&item.line).unwrap_or(&self.verifier);
        let judgement = verifier.judge(&text, item.answer.as_deref().unwrap_or_default());
        journal.append(Record {
            arm: arm.to_owned(),
            item: item.line,
            fingerprint: item.fingerprint.clone(),
            sample,
            seed,
            tokens: answer.usage.completion_tokens as u32,
            finish_reason: choice.finish_reason,
            answer: judgement.answer,
            correct: item.answer.is_some() && judgement.correct,
            time_to_first_token_ms: Some(answer.time_to_first_token_ms),
            replay_status: answer.replay.map(|report| report.status),
            text,
        })?;
        Ok(None)
    }
}

/// The seed of a sample. It is the same for every arm, so that the arms differ by the model and not by chance.
fn seed(run: u64, item: &Item, sample: Option<u32>) -> u64 {
    let text = format!("{run} {} {sample:?}", item.fingerprint);
    let hash = blake3::hash(text.as_bytes());
    u64::from_le_bytes(std::array::from_fn(|i| hash.as_bytes()[i]))
}
