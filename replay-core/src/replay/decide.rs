//! One request: from what it asks of replay to what its prefill goes on with.
use std::sync::Arc;

use crate::config::OnError;
use crate::replay::{Directive, Mode, RequestReport};
use crate::substitute::Edits;
use crate::{Error, ReplayBackend, ReplayCache, Replayed, Replayer, Result, Status, metrics};

/// What the prefill of one prompt goes on with.
#[derive(Debug, Clone)]
pub enum Decision {
    /// These rows are replaced.
    Edit(Arc<Edits>),
    /// The prefill is the engine's own.
    Leave,
    /// The request fails, with this message.
    Fail(String),
}

/// A decision, and what the request is told of it.
#[derive(Debug, Clone)]
pub struct Decided {
    /// What the prefill goes on with.
    pub decision: Decision,
    /// What the request is told.
    pub told: RequestReport,
}

impl Replayer {
    /// Runs what a request asks of replay over its prompt. A failure becomes what `on_error` says, and is counted; the outcome is, too.
    pub async fn decide(&self, backend: &mut dyn ReplayBackend, directive: Directive, cache: &ReplayCache) -> Decided {
        let decided = match self.direct(backend, directive, cache).await {
            Ok(decided) => decided,
            Err(error) => self.failed(&error),
        };
        self.count(&decided, cache);
        decided
    }

    /// The same, for an engine that has something to say of a failure itself.
    ///
    /// # Errors
    /// Those of the backend's steps; nothing is armed then.
    pub async fn direct(
        &self,
        backend: &mut dyn ReplayBackend,
        directive: Directive,
        cache: &ReplayCache,
    ) -> Result<Decided> {
        let settings = self.settings();
        let off = directive.mode == Mode::Off || !settings.enabled;
        if off && !directive.trace && !directive.observe {
            return Ok(self.left("off for this request"));
        }
        if backend.prompt().images().is_empty() {
            return Ok(self.left("the prompt has no image"));
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
        Ok(Decided { decision, told: RequestReport { report, trace, observation } })
    }

    /// The prompt is left alone, for this reason.
    pub fn left(&self, why: impl Into<String>) -> Decided {
        let told = RequestReport { report: self.passthrough(why), trace: None, observation: None };
        Decided { decision: Decision::Leave, told }
    }

    /// What `on_error` makes of a failure, which is counted, and logged once for each reason.
    pub fn failed(&self, error: &Error) -> Decided {
        let why = format!("activation replay failed: {error}");
        match metrics::degraded(error) {
            true => tracing::warn!("{why} (others for this reason are counted, and logged at level debug)"),
            false => tracing::debug!("{why}"),
        }
        let left = self.left(why.clone());
        match self.settings().on_error {
            OnError::Fail => Decided { decision: Decision::Fail(why), ..left },
            OnError::Passthrough => left,
        }
    }

    /// Counts how a prompt was decided.
    pub fn count(&self, decided: &Decided, cache: &ReplayCache) {
        metrics::decided(&decided.told.report, matches!(decided.decision, Decision::Fail(_)), cache);
    }
}
