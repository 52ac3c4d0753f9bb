//! Decides, before each real prefill, what is replayed in each sequence of the batch.
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mistralrs_core::forward_hook::{LayerTap, PromptCall, PromptHook, PromptRow};
use replay_core::config::OnError;
use replay_core::conformance::{Observed, Plan};
use replay_core::learned::Progress;
use replay_core::{Error, Replayed, Replayer, Report, Status};
use tokio::sync::mpsc::UnboundedSender;

use crate::backend::{Bound, EnginePrompt};
use crate::decisions::{Decision, Decisions};
use crate::directive::{Directive, Listeners, Mode, Order, Orders, RequestReport};
use crate::edit::EditTap;
use crate::families::Media;
use crate::metrics;

/// The hook of one pipeline.
pub(crate) struct Hook {
    pub(crate) bound: Bound,
    pub(crate) orders: Orders,
    pub(crate) decisions: Decisions,
    /// Most sequences that were prefilled together.
    pub(crate) largest_batch: AtomicUsize,
    /// Prefills of all sequences, repeated ones included.
    pub(crate) prefills: AtomicUsize,
}

impl Hook {
    pub(crate) fn new(bound: Bound) -> Self {
        Self {
            bound,
            orders: Orders::default(),
            decisions: Decisions::default(),
            largest_batch: AtomicUsize::new(0),
            prefills: AtomicUsize::new(0),
        }
    }

    fn decide(&self, call: &mut PromptCall<'_, '_, '_>, index: usize, row: &PromptRow) -> Decision {
        match self.orders.take(&call.responder(index)) {
            Order::Plan(plan, recipient) => {
                let (decision, observed) = match self.plan(call, index, row, &plan) {
                    Ok((decision, observed)) => (decision, Ok(observed)),
                    Err(error) => (Decision::Leave, Err(error)),
                };
                let _ = recipient.send(observed);
                decision
            }
            Order::Replay(directive, Listeners { settings, report: recipient, progress }) => {
                let settings = settings.unwrap_or_else(|| self.bound.settings());
                let replayer = settings.of(directive.profile);
                // One sequence's trouble must not reach the others of its batch.
                let outcome =
                    catch_unwind(AssertUnwindSafe(|| self.replay(replayer, call, index, row, directive, progress)))
                        .unwrap_or_else(|_| Err(Error::engine("replay panicked")));
                let (decision, report) = match outcome {
                    Ok(decided) => decided,
                    Err(_) if call.cancelled(index) => {
                        (Decision::Leave, self.passthrough(replayer, "the client went away"))
                    }
                    Err(error) => self.refuse(replayer, &error),
                };
                metrics::decided(&report.report, matches!(decision, Decision::Fail(_)), &self.bound.cache);
                if let Some(recipient) = recipient {
                    let _ = recipient.send(report);
                }
                decision
            }
        }
    }

    fn plan(
        &self,
        call: &mut PromptCall<'_, '_, '_>,
        index: usize,
        row: &PromptRow,
        plan: &Plan,
    ) -> replay_core::Result<(Decision, Observed)> {
        if plan.0.is_empty() {
            return Ok((Decision::Leave, Observed::default()));
        }
        let mut prompt = self.prompt(call, index, row, None)?;
        let observed = pollster::block_on(plan.run(&mut prompt))?;
        let decision = prompt.edits.map_or(Decision::Leave, Decision::Edit);
        Ok((decision, observed))
    }

    fn replay(
        &self,
        replayer: &Replayer,
        call: &mut PromptCall<'_, '_, '_>,
        index: usize,
        row: &PromptRow,
        directive: Directive,
        progress: Option<UnboundedSender<Progress>>,
    ) -> replay_core::Result<(Decision, RequestReport)> {
        if row.images == 0 && row.image_grid_thw.is_none() && call.videos(index).is_empty() {
            return Ok((Decision::Leave, self.passthrough(replayer, "the prompt has no image")));
        }
        let settings = replayer.settings();
        let off = directive.mode == Mode::Off || !settings.enabled;
        if off && !directive.trace && !directive.observe {
            return Ok((Decision::Leave, self.passthrough(replayer, "off for this request")));
        }
        if row.cached > 0 {
            return Err(Error::Unavailable(
                "the engine took part of this prompt from its prefix cache; attach replay before the engine starts"
                    .into(),
            ));
        }
        let mut prompt = self.prompt(call, index, row, progress)?;
        // No future here ever waits: the engine's thread is ours until the real prefill.
        let mut trace = match directive.trace {
            true => Some(pollster::block_on(replayer.trace(&mut prompt))?),
            false => None,
        };
        let cache = (!directive.fresh && settings.cache.max_bytes > 0).then_some(&self.bound.cache);
        let Replayed { report, learned } = match off {
            true => Replayed { report: replayer.passthrough("off for this request"), learned: None },
            false => pollster::block_on(replayer.replay(&mut prompt, cache))?,
        };
        if let (Some(trace), Some(learned)) = (&mut trace, &learned) {
            trace.insert_learned(learned)?;
        }
        let observation = match directive.observe {
            true => {
                let edits = prompt.edits.clone();
                Some(pollster::block_on(replayer.observe(&mut prompt, edits, learned.as_deref()))?)
            }
            false => None,
        };
        let decision = match prompt.edits {
            Some(edits) if report.status == Status::Replayed => Decision::Edit(edits),
            _ => Decision::Leave,
        };
        Ok((decision, RequestReport { report, trace, observation }))
    }

    fn prompt<'c, 'a, 'batch, 'seq>(
        &'c self,
        call: &'c mut PromptCall<'a, 'batch, 'seq>,
        index: usize,
        row: &PromptRow,
        listener: Option<UnboundedSender<Progress>>,
    ) -> replay_core::Result<EnginePrompt<'c, 'a, 'batch, 'seq>> {
        let media = Media { pictures: call.images(index), videos: call.videos(index) };
        let map = self.bound.map(row, media)?;
        Ok(EnginePrompt { bound: &self.bound, call, row: index, map, edits: None, listener })
    }

    fn refuse(&self, replayer: &Replayer, error: &Error) -> (Decision, RequestReport) {
        let why = format!("activation replay failed: {error}");
        match metrics::degraded(error) {
            true => tracing::warn!("{why} (others for this reason are counted, and logged at level debug)"),
            false => tracing::debug!("{why}"),
        }
        let decision = match replayer.settings().on_error {
            OnError::Fail => Decision::Fail(why.clone()),
            OnError::Passthrough => Decision::Leave,
        };
        (decision, self.passthrough(replayer, why))
    }

    fn passthrough(&self, replayer: &Replayer, why: impl Into<String>) -> RequestReport {
        let report: Report = replayer.passthrough(why);
        RequestReport { report, trace: None, observation: None }
    }
}

impl PromptHook for Hook {
    fn shares_encoders(&self) -> bool {
        self.bound.one_encoder
    }

    fn before_prompt(&self, call: &mut PromptCall<'_, '_, '_>) -> candle_core::Result<Option<Arc<dyn LayerTap>>> {
        let rows = call.rows();
        self.largest_batch.fetch_max(rows.len(), Ordering::Relaxed);
        self.prefills.fetch_add(rows.len(), Ordering::Relaxed);
        let mut edits = Vec::with_capacity(rows.len());
        for (index, row) in rows.iter().enumerate() {
            let known = self.decisions.get(&row.request);
            let decision = known.unwrap_or_else(|| {
                let decision = self.decide(call, index, row);
                self.decisions.insert(row.request.clone(), decision.clone());
                decision
            });
            edits.push(match decision {
                Decision::Edit(edits) => Some(edits),
                Decision::Leave => None,
                Decision::Fail(why) => {
                    call.fail(index, &why);
                    None
                }
            });
        }
        Ok(EditTap::new(edits).map(|tap| Arc::new(tap) as Arc<dyn LayerTap>))
    }
}
