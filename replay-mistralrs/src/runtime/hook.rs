//! The hook of a replayed pipeline: before each real prefill it decides what is replayed in each sequence of the batch.
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mistralrs_core::forward_hook::{Answered, LayerTap, PromptCall, PromptHook, PromptRow};
use replay_core::conformance::{Observed, Plan};
use replay_core::learned::Progress;
use replay_core::metrics;
use replay_core::session::{Directive, Mode};
use replay_core::substitute::Edits;
use replay_core::{Decision, Error, Mismatch, Replayer};
use tokio::sync::mpsc::UnboundedSender;

use crate::families::Media;
use crate::runtime::decisions::{RequestDecision, RequestDecisions};
use crate::runtime::edit_tap::{BatchEdits, EditTap};
use crate::runtime::engine_prompt::EnginePrompt;
use crate::runtime::pending_report::PendingReport;
use crate::runtime::prefill_tasks::{PrefillTask, PrefillTasks, ReplayTask};
use crate::runtime::prefix_cache::{CachedPrefix, PrefixIdentity};
use crate::runtime::replay_pair::ReplayPair;

/// The hook of one pipeline.
pub(crate) struct Hook {
    pub(crate) pair: ReplayPair,
    pub(crate) tasks: PrefillTasks,
    pub(crate) decisions: RequestDecisions,
    /// The largest number of sequences prefilled together so far.
    pub(crate) largest_batch: AtomicUsize,
    /// The number of prefills of all sequences so far, repeated ones included.
    pub(crate) prefills: AtomicUsize,
    /// The number of prompt rows that the prefix cache supplied so far.
    pub(crate) prefix_cache_rows: AtomicUsize,
}

impl Hook {
    pub(crate) fn new(pair: ReplayPair) -> Self {
        Self {
            pair,
            tasks: PrefillTasks::default(),
            decisions: RequestDecisions::default(),
            largest_batch: AtomicUsize::new(0),
            prefills: AtomicUsize::new(0),
            prefix_cache_rows: AtomicUsize::new(0),
        }
    }

    /// Runs the task of one sequence of the batch.
    fn decide(
        &self,
        call: &mut PromptCall<'_, '_, '_>,
        index: usize,
        row: &PromptRow,
    ) -> (RequestDecision, Option<PendingReport>) {
        let mut pending = None;
        // The prefix cache must not keep the edits of a plan for other requests, so a plan has no fingerprint.
        let (decision, fingerprint) = match self.tasks.take(&call.responder(index)) {
            PrefillTask::Plan(plan, sender) => {
                let (decision, observed) = match self.run_plan(call, index, row, &plan) {
                    Ok((decision, observed)) => (decision, Ok(observed)),
                    Err(error) => (Decision::Leave, Err(error)),
                };
                let _ = sender.send(observed);
                (decision, None)
            }
            PrefillTask::Replay(ReplayTask { directive, settings, report: report_sender, progress }) => {
                let settings = settings.unwrap_or_else(|| self.pair.settings());
                let replayer = settings.of(directive.profile);
                // A panic in one sequence must not fail the others of its batch.
                let outcome =
                    catch_unwind(AssertUnwindSafe(|| self.run_replay(replayer, call, index, row, directive, progress)))
                        .unwrap_or_else(|_| Err(Error::engine("replay panicked")));
                let decided = match outcome {
                    Ok(decided) => decided,
                    Err(_) if call.cancelled(index) => replayer.not_replayed("the client went away"),
                    Err(error) => replayer.failed(&error),
                };
                let decision = decided.decision.clone();
                let fingerprint = (!directive.fresh).then(|| replayer.settings().fingerprint());
                let (profile, responder) = (directive.profile, call.responder(index));
                let report = PendingReport { decided, settings, profile, receiver: report_sender, responder };
                // Edits are made in the prefill; until then nobody knows whether the prompt was replayed.
                match &decision {
                    Decision::Edit(_) => pending = Some(report),
                    Decision::Leave | Decision::Fail(_) => report.send(None, &self.pair.cache),
                }
                (decision, fingerprint)
            }
        };
        let identity =
            fingerprint.and_then(|fingerprint| self.prefix_identity(call, index, row, &decision, fingerprint));
        (RequestDecision { decision, identity }, pending)
    }

    /// The identity of this prompt in the prefix cache; `None` if the cache must not keep it. `fingerprint` is that of the settings.
    fn prefix_identity(
        &self,
        call: &PromptCall<'_, '_, '_>,
        index: usize,
        row: &PromptRow,
        decision: &Decision,
        fingerprint: String,
    ) -> Option<Arc<PrefixIdentity>> {
        let edits = match decision {
            Decision::Edit(edits) => Some((edits.clone(), fingerprint)),
            Decision::Leave => None,
            Decision::Fail(_) => return None,
        };
        if !self.pair.prefix_cache.is_enabled() || !call.may_begin_later() {
            return None;
        }
        let media = Media { images: call.images(index), videos: call.videos(index) };
        let map = self.pair.label_prompt(row, media).ok()?;
        Some(Arc::new(PrefixIdentity::new(&map, self.pair.prefix_cache.image_dependence, edits)))
    }

    /// Starts the prefill of these prompts after the prefix that is cached for all of them. Returns its length and the edits of the remaining
    /// rows, or `None` if there is no such prefix.
    fn start_after_cached_prefix(
        &self,
        call: &mut PromptCall<'_, '_, '_>,
        rows: &[PromptRow],
        decisions: &[RequestDecision],
    ) -> Option<(usize, BatchEdits)> {
        if !self.pair.prefix_cache.is_enabled() || !call.may_begin_later() {
            return None;
        }
        let prompts =
            rows.iter().zip(decisions).map(|(row, decision)| Some((&*row.tokens, &**decision.identity.as_ref()?)));
        let CachedPrefix { keys_values, rows: skipped } =
            self.pair.prefix_cache.find(&prompts.collect::<Option<Vec<_>>>()?)?;
        let remaining = |edits: Arc<Edits>| edits.after(skipped).map(Arc::new);
        let edits = batch_edits(decisions)
            .into_iter()
            .map(|edits| edits.map(remaining).transpose())
            .collect::<replay_core::Result<_>>();
        let started = edits.and_then(|edits| Ok((edits, call.begin_after(keys_values, skipped)?)));
        let started =
            started.inspect_err(|error| tracing::warn!("a prefill could not start after its cached prefix: {error}"));
        let (edits, ()) = started.ok()?;
        metrics::count_known_rows(skipped * rows.len());
        self.prefix_cache_rows.fetch_add(skipped * rows.len(), Ordering::Relaxed);
        Some((skipped, edits))
    }

    /// Runs a plan of the conformance kit on one sequence.
    fn run_plan(
        &self,
        call: &mut PromptCall<'_, '_, '_>,
        index: usize,
        row: &PromptRow,
        plan: &Plan,
    ) -> replay_core::Result<(Decision, Observed)> {
        if plan.0.is_empty() {
            return Ok((Decision::Leave, Observed::default()));
        }
        let mut prompt = self.engine_prompt(call, index, row, None)?;
        let observed = pollster::block_on(plan.run(&mut prompt))?;
        let decision = prompt.edits.map_or(Decision::Leave, Decision::Edit);
        Ok((decision, observed))
    }

    /// Replays one sequence as its directive says.
    fn run_replay(
        &self,
        replayer: &Replayer,
        call: &mut PromptCall<'_, '_, '_>,
        index: usize,
        row: &PromptRow,
        directive: Directive,
        progress: Option<UnboundedSender<Progress>>,
    ) -> replay_core::Result<replay_core::Decided> {
        if row.images == 0 && row.image_grid_thw.is_none() && call.videos(index).is_empty() {
            return Ok(replayer.not_replayed("the prompt has no image"));
        }
        let is_off = directive.mode == Mode::Off || !replayer.settings().enabled;
        if is_off && !directive.trace && !directive.observe {
            return Ok(replayer.not_replayed("off for this request"));
        }
        if row.cached > 0 {
            return Err(Error::Prompt(Mismatch::new(
                "prompt rows that the engine computes",
                "all rows",
                format!("all but {} rows of its own prefix cache", row.cached),
                "attach replay before the engine starts",
            )));
        }
        let base_entries = self.pair.info.base.vocabulary;
        let only_rlvr = base_entries..self.pair.info.rlvr.vocabulary;
        if let Some(token) = row.tokens.iter().find(|token| only_rlvr.contains(&(**token as usize))) {
            return Err(Error::Prompt(Mismatch::new(
                "a token of the prompt",
                format!("an id below {base_entries}, which the base has too"),
                format!("{token}, which the RLVR model alone has"),
                "leave it out of the prompt, or send the request with replay off",
            )));
        }
        let mut prompt = self.engine_prompt(call, index, row, progress)?;
        // Replay's futures yield between slices but wait for nothing, so they run to their end here, on the engine's thread.
        pollster::block_on(replayer.try_decide(&mut prompt, directive, &self.pair.cache))
    }

    fn engine_prompt<'c, 'a, 'batch, 'seq>(
        &'c self,
        call: &'c mut PromptCall<'a, 'batch, 'seq>,
        index: usize,
        row: &PromptRow,
        progress: Option<UnboundedSender<Progress>>,
    ) -> replay_core::Result<EnginePrompt<'c, 'a, 'batch, 'seq>> {
        let media = Media { images: call.images(index), videos: call.videos(index) };
        let map = self.pair.label_prompt(row, media)?;
        Ok(EnginePrompt { pair: &self.pair, call, row: index, map, edits: None, progress })
    }
}

/// The edits of each sequence of a batch.
fn batch_edits(decisions: &[RequestDecision]) -> BatchEdits {
    let edits = |decision: &RequestDecision| match &decision.decision {
        Decision::Edit(edits) => Some(edits.clone()),
        Decision::Leave | Decision::Fail(_) => None,
    };
    decisions.iter().map(edits).collect()
}

impl PromptHook for Hook {
    fn shares_encoders(&self) -> bool {
        self.pair.same_vision_tower
    }

    fn before_prompt(&self, call: &mut PromptCall<'_, '_, '_>) -> candle_core::Result<Option<Arc<dyn LayerTap>>> {
        let rows = call.rows();
        self.largest_batch.fetch_max(rows.len(), Ordering::Relaxed);
        self.prefills.fetch_add(rows.len(), Ordering::Relaxed);
        let (mut decisions, mut reports) = (Vec::with_capacity(rows.len()), Vec::new());
        for (index, row) in rows.iter().enumerate() {
            decisions.push(self.decisions.get(&row.request).unwrap_or_else(|| {
                let (decision, report) = self.decide(call, index, row);
                reports.extend(report);
                self.decisions.insert(row.request.clone(), decision.clone());
                decision
            }));
        }
        for (index, decision) in decisions.iter().enumerate() {
            if let Decision::Fail(why) = &decision.decision {
                call.fail(index, why);
            }
        }
        let later = self.start_after_cached_prefix(call, &rows, &decisions);
        let tap = EditTap::new(batch_edits(&decisions), later, reports, &self.pair);
        Ok(tap.map(|tap| Arc::new(tap) as Arc<dyn LayerTap>))
    }

    fn after_answer(&self, answered: &mut Answered<'_>) {
        if !self.pair.prefix_cache.is_enabled() {
            return;
        }
        let identity = self.decisions.get(&answered.request()).and_then(|decision| decision.identity);
        let Some(identity) = identity else { return };
        let tokens = answered.tokens().to_vec();
        if let Err(error) = self.pair.prefix_cache.insert(&tokens, &identity, || answered.keys_values()) {
            tracing::warn!("the prefix cache could not keep the keys and values of a prompt: {error}");
        }
    }
}
