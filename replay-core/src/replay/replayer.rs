//! Runs the steps of a configuration over one prompt.
use std::sync::Arc;

use tracing::instrument;

use super::{gate, strategy};

use crate::config::{Loss, Replay, Strategy};
use crate::learned::{LearnedDelta, Stop};
use crate::replay::cache::{self, Entry, ReplayCache};
use crate::replay::policy::Policy;
use crate::substitute::Edits;
use crate::{Error, Milliseconds, PairInfo, Precision, ReplayBackend, Report, Result, Role, RowSet, Status};

/// The settings of a configuration, bound to the depth of the models it is for.
///
/// Its futures yield between passes, between blocks of the lens and between iterations of learning, so that the caller can interleave other
/// work; this changes no result.
#[derive(Debug, Clone)]
pub struct Replayer {
    policy: Policy,
    fingerprint: String,
}

/// What replay did to one prompt.
#[derive(Debug, Clone)]
pub struct Replayed {
    /// The report.
    pub report: Report,
    /// The delta of strategy `learned`, if one was learned.
    pub learned: Option<Arc<LearnedDelta>>,
    /// The edits that were armed.
    pub edits: Option<Arc<Edits>>,
}

impl Replayer {
    /// Binds settings to models of `decoder_layers` layers.
    ///
    /// # Errors
    /// [`Error::Settings`] if the models have too few layers for the policy, or the settings contradict each other.
    pub fn new(replay: &Replay, decoder_layers: usize) -> Result<Self> {
        Ok(Self { policy: Policy::new(replay, decoder_layers)?, fingerprint: replay.fingerprint() })
    }

    /// The settings.
    pub fn settings(&self) -> &Replay {
        self.policy.settings()
    }

    /// The policy layers, ascending.
    pub fn policy_layers(&self) -> &[usize] {
        self.policy.layers()
    }

    /// The last residual that any step needs, which is also the number of decoder layers that have to be loaded and run.
    pub fn last_residual(&self) -> usize {
        self.policy.last_residual()
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The report of a prompt that is not replayed, with the reason.
    pub fn passthrough(&self, reason: impl Into<String>) -> Report {
        Report {
            status: Status::Passthrough,
            reason: Some(reason.into()),
            strategy: self.settings().strategy,
            alignment: self.settings().alignment,
            fingerprint: self.fingerprint.clone(),
            precision: None,
            rows: 0,
            visual_rows: 0,
            images: 0,
            layers: Vec::new(),
            gate: None,
            learned: None,
            cache_hits: 0,
            milliseconds: Milliseconds::default(),
        }
    }

    /// Captures, ranks, learns if that is the strategy, and arms the edits for one prompt. If the cache has an entry for the prompt, arms
    /// its edits instead.
    ///
    /// # Errors
    /// Those of the backend's steps; nothing is armed then.
    #[instrument(skip_all, fields(strategy = %self.settings().strategy, rows = backend.prompt().len()))]
    pub async fn replay(&self, backend: &mut dyn ReplayBackend, cache: Option<&ReplayCache>) -> Result<Replayed> {
        let pair = backend.pair();
        let precision = Precision { base: pair.base.dtype.clone(), rlvr: pair.rlvr.dtype.clone() };
        let mut report = Report {
            precision: Some(precision),
            rows: backend.prompt().len(),
            visual_rows: backend.prompt().visual_rows().len(),
            images: backend.prompt().images().len(),
            ..self.passthrough("")
        };
        let candidates = backend.prompt().candidates(self.settings().positions);
        if candidates.is_empty() {
            report.reason = Some("the prompt has no row to rank".into());
            return Ok(Replayed { report, learned: None, edits: None });
        }
        report.reason = None;

        let mut clock = strategy::Clock::start();
        report.gate = gate::measure(&self.policy, backend, cache).await?;
        report.milliseconds.gate = report.gate.map_or(0.0, |_| clock.lap());
        if let Some(closed) = report.gate.filter(|gate| !gate.open) {
            report.reason = Some(closed.reason());
            return Ok(Replayed { report, learned: None, edits: None });
        }
        let milliseconds = report.milliseconds;

        let key = cache.map(|cache| (cache, cache::key(self.settings(), backend.pair(), backend.prompt())));
        if let Some(entry) = key.as_ref().and_then(|(cache, key)| cache.get(key)) {
            let cached = entry.report.clone();
            report = Report { rows: report.rows, gate: report.gate, cache_hits: 1, milliseconds, ..cached };
            if let Some(edits) = &entry.edits {
                backend.substitute(edits.clone()).await?;
            }
            return Ok(Replayed { report, learned: entry.learned.clone(), edits: entry.edits.clone() });
        }

        let (edits, learned) = self.run(backend, &candidates, &mut report).await?;
        let edits = edits.map(Arc::new);
        // A delta whose learning ran out of time, perhaps under load, is not reused for later prompts.
        let timed_out = report.learned.as_ref().is_some_and(|learned| learned.stop == Stop::TimeBudget);
        if let (Some((cache, key)), false) = (key, timed_out) {
            let entry = Entry { report: report.clone(), edits: edits.clone(), learned: learned.clone() };
            cache.insert(key, Arc::new(entry));
        }
        if let Some(edits) = &edits {
            backend.substitute(edits.clone()).await?;
        }
        Ok(Replayed { report, learned, edits })
    }

    /// Runs the strategy without arming its edits.
    async fn run(
        &self,
        backend: &mut dyn ReplayBackend,
        candidates: &RowSet,
        report: &mut Report,
    ) -> Result<(Option<Edits>, Option<Arc<LearnedDelta>>)> {
        if self.settings().strategy == Strategy::Substitute {
            return Ok((strategy::substitute(&self.policy, backend, candidates, report).await?, None));
        }
        let strategy::Learning { selection, correction } =
            strategy::learn(&self.policy, backend, &mut report.milliseconds).await?;
        report.set_layers(&selection, self.settings().alignment);
        let Some(strategy::Correction { learned, edits, report: learned_report, apart }) = correction else {
            report.status = Status::NothingSelected;
            return Ok((None, None));
        };
        for (layer, apart) in report.layers.iter_mut().zip(apart) {
            match learned_report.loss {
                Loss::Lens => layer.kl = apart,
                Loss::Residual => layer.distance = apart,
            }
        }
        report.status = if edits.is_some() { Status::Replayed } else { Status::Unchanged };
        report.learned = Some(learned_report);
        Ok((edits, Some(Arc::new(learned))))
    }

    /// Checks that the base was loaded with enough layers for this policy.
    ///
    /// # Errors
    /// [`Error::NoSuchLayer`] if it was loaded with too few layers.
    pub fn check_depth(&self, pair: &PairInfo) -> Result<()> {
        let (needed, last) = (self.last_residual(), pair.base.loaded_layers);
        match self.policy_layers().last() {
            Some(&layer) if needed > last => Err(Error::NoSuchLayer { role: Role::Base, layer, needed, last }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
