//! Decides for one request whether its prefill is edited, passes unedited, or fails.
use std::sync::Arc;

use crate::config::OnError;
use crate::replay::{Directive, Mode, RequestReport};
use crate::substitute::Edits;
use crate::{Error, ReplayBackend, ReplayCache, Replayed, Replayer, Result, Status, metrics};

/// How the prefill of one prompt continues.
#[derive(Debug, Clone)]
pub enum Decision {
    /// The prefill runs with these edits.
    Edit(Arc<Edits>),
    /// The prefill runs without edits.
    Leave,
    /// The request fails, with this message.
    Fail(String),
}

/// A decision, and the report of it for the request.
#[derive(Debug, Clone)]
pub struct Decided {
    /// How the prefill continues.
    pub decision: Decision,
    /// The report for the request.
    pub request_report: RequestReport,
}

impl Replayer {
    /// Replays a prompt as its request asks, handles a failure as `on_error` says, and counts the decision.
    pub async fn decide(&self, backend: &mut dyn ReplayBackend, directive: Directive, cache: &ReplayCache) -> Decided {
        let decided = match self.try_decide(backend, directive, cache).await {
            Ok(decided) => decided,
            Err(error) => self.failed(&error),
        };
        self.count(&decided, cache);
        decided
    }

    /// Replays a prompt as its request asks, for an engine that handles failures itself.
    ///
    /// # Errors
    /// Those of the backend's steps; nothing is armed then.
    pub async fn try_decide(
        &self,
        backend: &mut dyn ReplayBackend,
        directive: Directive,
        cache: &ReplayCache,
    ) -> Result<Decided> {
        let settings = self.settings();
        let off = directive.mode == Mode::Off || !settings.enabled;
        if off && !directive.trace && !directive.observe {
            return Ok(self.not_replayed("off for this request"));
        }
        if backend.prompt().images().is_empty() {
            return Ok(self.not_replayed("the prompt has no image"));
        }
        let mut trace = match directive.trace {
            true => Some(self.trace(backend).await?),
            false => None,
        };
        let cache = (!directive.fresh && settings.cache.max_bytes > 0).then_some(cache);
        let Replayed { report, learned, edits } = match off {
            true => Replayed { report: self.passthrough("off for this request"), learned: None, edits: None },
            false => self.replay(backend, cache).await?,
        };
        if let (Some(trace), Some(learned)) = (&mut trace, &learned) {
            trace.insert_learned(learned)?;
        }
        let observation = match directive.observe {
            true => Some(self.observe(backend, edits.clone(), learned.as_deref()).await?),
            false => None,
        };
        let decision = match edits {
            Some(edits) if report.status == Status::Replayed => Decision::Edit(edits),
            _ => Decision::Leave,
        };
        Ok(Decided { decision, request_report: RequestReport { report, trace, observation } })
    }

    /// The decision to run the prefill without edits, with the reason for the report.
    pub fn not_replayed(&self, reason: impl Into<String>) -> Decided {
        let request_report = RequestReport { report: self.passthrough(reason), trace: None, observation: None };
        Decided { decision: Decision::Leave, request_report }
    }

    /// The decision after a failure, as `on_error` says. The failure is counted, and the first of each kind is logged as a warning.
    pub fn failed(&self, error: &Error) -> Decided {
        let reason = format!("activation replay failed: {error}");
        match metrics::count_failure(error) {
            true => tracing::warn!("{reason} (others for this reason are counted, and logged at level debug)"),
            false => tracing::debug!("{reason}"),
        }
        let passthrough = self.not_replayed(reason.clone());
        match self.settings().on_error {
            OnError::Fail => Decided { decision: Decision::Fail(reason), ..passthrough },
            OnError::Passthrough => passthrough,
        }
    }

    /// Counts a decision in the metrics.
    pub fn count(&self, decided: &Decided, cache: &ReplayCache) {
        let failed = matches!(decided.decision, Decision::Fail(_));
        metrics::count_decision(&decided.request_report.report, failed, cache);
    }
}
