//! Decides, before each real prefill, what is replayed in each sequence of the batch.
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
use crate::runtime::backend::{Bound, EnginePrompt};
use crate::runtime::decisions::{Decided, Decisions};
use crate::runtime::edit::EditTap;
use crate::runtime::orders::{Listeners, Order, Orders};
use crate::runtime::prefix_cache::{Identity, Known};

/// The hook of one pipeline.
pub(crate) struct Hook {
    pub(crate) bound: Bound,
    pub(crate) orders: Orders,
    pub(crate) decisions: Decisions,
    /// Most sequences that were prefilled together.
    pub(crate) largest_batch: AtomicUsize,
    /// Prefills of all sequences, repeated ones included.
    pub(crate) prefills: AtomicUsize,
    /// Rows of prompts that were known and did not run.
    pub(crate) known_rows: AtomicUsize,
}

impl Hook {
    pub(crate) fn new(bound: Bound) -> Self {
        Self {
            bound,
            orders: Orders::default(),
            decisions: Decisions::default(),
            largest_batch: AtomicUsize::new(0),
            prefills: AtomicUsize::new(0),
            known_rows: AtomicUsize::new(0),
        }
    }

    fn decide(&self, call: &mut PromptCall<'_, '_, '_>, index: usize, row: &PromptRow) -> Decided {
        // A plan's edits are nobody else's.
        let (decision, settings) = match self.orders.take(&call.responder(index)) {
            Order::Plan(plan, recipient) => {
                let (decision, observed) = match self.plan(call, index, row, &plan) {
                    Ok((decision, observed)) => (decision, Ok(observed)),
                    Err(error) => (Decision::Leave, Err(error)),
                };
                let _ = recipient.send(observed);
                (decision, None)
            }
            Order::Replay(directive, Listeners { settings, report: recipient, progress }) => {
                let settings = settings.unwrap_or_else(|| self.bound.settings());
                let replayer = settings.of(directive.profile);
                // One sequence's trouble must not reach the others of its batch.
                let outcome =
                    catch_unwind(AssertUnwindSafe(|| self.replay(replayer, call, index, row, directive, progress)))
                        .unwrap_or_else(|_| Err(Error::engine("replay panicked")));
                let decided = match outcome {
                    Ok(decided) => decided,
                    Err(_) if call.cancelled(index) => replayer.left("the client went away"),
                    Err(error) => replayer.failed(&error),
                };
                replayer.count(&decided, &self.bound.cache);
                let replay_core::Decided { decision, told } = decided;
                if let Some(recipient) = recipient {
                    let _ = recipient.send(told);
                }
                (decision, (!directive.fresh).then(|| replayer.settings().fingerprint()))
            }
        };
        let identity = settings.and_then(|settings| self.identity(call, index, row, &decision, settings));
        Decided { decision, identity }
    }

    /// What keys and values of this prompt will depend on; `None` if they are not to be kept.
    fn identity(
        &self,
        call: &PromptCall<'_, '_, '_>,
        index: usize,
        row: &PromptRow,
        decision: &Decision,
        settings: String,
    ) -> Option<Arc<Identity>> {
        let edits = match decision {
            Decision::Edit(edits) => Some((edits.clone(), settings)),
            Decision::Leave => None,
            Decision::Fail(_) => return None,
        };
        if !self.bound.prefixes.is_on() || !call.may_begin_later() {
            return None;
        }
        let media = Media { images: call.images(index), videos: call.videos(index) };
        let map = self.bound.map(row, media).ok()?;
        Some(Arc::new(Identity::new(&map, self.bound.prefixes.images, edits)))
    }

    /// Has the forward of these prompts begin after what is known of all of them, if anything is. The edits of the rows that are left.
    fn begin_later(
        &self,
        call: &mut PromptCall<'_, '_, '_>,
        rows: &[PromptRow],
        decided: &[Decided],
    ) -> Option<Vec<Option<Arc<Edits>>>> {
        if !self.bound.prefixes.is_on() || !call.may_begin_later() {
            return None;
        }
        let prompts =
            rows.iter().zip(decided).map(|(row, decided)| Some((&*row.tokens, &**decided.identity.as_ref()?)));
        let Known { keys_values, rows: skipped } = self.bound.prefixes.find(&prompts.collect::<Option<Vec<_>>>()?)?;
        let later = |edits: Arc<Edits>| edits.after(skipped).map(Arc::new);
        let edits =
            edits(decided).into_iter().map(|edits| edits.map(later).transpose()).collect::<replay_core::Result<_>>();
        let begun = edits.and_then(|edits| Ok((edits, call.begin_after(keys_values, skipped)?)));
        let begun =
            begun.inspect_err(|error| tracing::warn!("a prompt could not begin after what is known of it: {error}"));
        let (edits, ()) = begun.ok()?;
        metrics::known(skipped * rows.len());
        self.known_rows.fetch_add(skipped * rows.len(), Ordering::Relaxed);
        Some(edits)
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
    ) -> replay_core::Result<replay_core::Decided> {
        if row.images == 0 && row.image_grid_thw.is_none() && call.videos(index).is_empty() {
            return Ok(replayer.left("the prompt has no image"));
        }
        let off = directive.mode == Mode::Off || !replayer.settings().enabled;
        if off && !directive.trace && !directive.observe {
            return Ok(replayer.left("off for this request"));
        }
        if row.cached > 0 {
            return Err(Error::Prompt(Mismatch::new(
                "rows that the engine computes of this prompt",
                "all of them",
                format!("all but {} from its prefix cache", row.cached),
                "attach replay before the engine starts",
            )));
        }
        let mut prompt = self.prompt(call, index, row, progress)?;
        // Futures of replay yield between slices and wait for nothing: here they run to their end, on the engine's thread.
        pollster::block_on(replayer.direct(&mut prompt, directive, &self.bound.cache))
    }

    fn prompt<'c, 'a, 'batch, 'seq>(
        &'c self,
        call: &'c mut PromptCall<'a, 'batch, 'seq>,
        index: usize,
        row: &PromptRow,
        listener: Option<UnboundedSender<Progress>>,
    ) -> replay_core::Result<EnginePrompt<'c, 'a, 'batch, 'seq>> {
        let media = Media { images: call.images(index), videos: call.videos(index) };
        let map = self.bound.map(row, media)?;
        Ok(EnginePrompt { bound: &self.bound, call, row: index, map, edits: None, listener })
    }
}

/// Of each sequence of a batch.
fn edits(decided: &[Decided]) -> Vec<Option<Arc<Edits>>> {
    let edits = |decided: &Decided| match &decided.decision {
        Decision::Edit(edits) => Some(edits.clone()),
        Decision::Leave | Decision::Fail(_) => None,
    };
    decided.iter().map(edits).collect()
}

impl PromptHook for Hook {
    fn shares_encoders(&self) -> bool {
        self.bound.one_encoder
    }

    fn before_prompt(&self, call: &mut PromptCall<'_, '_, '_>) -> candle_core::Result<Option<Arc<dyn LayerTap>>> {
        let rows = call.rows();
        self.largest_batch.fetch_max(rows.len(), Ordering::Relaxed);
        self.prefills.fetch_add(rows.len(), Ordering::Relaxed);
        let mut decided = Vec::with_capacity(rows.len());
        for (index, row) in rows.iter().enumerate() {
            decided.push(self.decisions.get(&row.request).unwrap_or_else(|| {
                let decided = self.decide(call, index, row);
                self.decisions.insert(row.request.clone(), decided.clone());
                decided
            }));
        }
        for (index, decided) in decided.iter().enumerate() {
            if let Decision::Fail(why) = &decided.decision {
                call.fail(index, why);
            }
        }
        let edits = self.begin_later(call, &rows, &decided).unwrap_or_else(|| edits(&decided));
        Ok(EditTap::new(edits, &self.bound.prefixes).map(|tap| Arc::new(tap) as Arc<dyn LayerTap>))
    }

    fn after_answer(&self, answered: &mut Answered<'_>) {
        if !self.bound.prefixes.is_on() {
            return;
        }
        let identity = self.decisions.get(&answered.request()).and_then(|decided| decided.identity);
        let Some(identity) = identity else { return };
        let tokens = answered.tokens().to_vec();
        if let Err(error) = self.bound.prefixes.keep(&tokens, &identity, || answered.keys_values()) {
            tracing::warn!("keys and values of a prompt could not be kept: {error}");
        }
    }
}
