//! What was decided for each request, kept until it ends. An engine prefills a sequence again after it was set aside, with its
//! generated tokens, and each prefill must get the edits of the first; so must the further samples of one prompt.
use std::sync::{Arc, Mutex, PoisonError};

use mistralrs_core::forward_hook::Request;
use replay_core::substitute::Edits;

#[derive(Debug, Clone)]
pub(crate) enum Decision {
    /// These rows are replaced.
    Edit(Arc<Edits>),
    /// The prefill is the engine's own.
    Leave,
    /// The request was failed, with this message.
    Fail(String),
}

#[derive(Debug, Default)]
pub(crate) struct Decisions(Mutex<Vec<(Request, Decision)>>);

impl Decisions {
    pub(crate) fn get(&self, request: &Request) -> Option<Decision> {
        let decisions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        decisions.iter().find(|(known, _)| known == request).map(|(_, decision)| decision.clone())
    }

    /// Also forgets the requests that are over.
    pub(crate) fn insert(&self, request: Request, decision: Decision) {
        let mut decisions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        decisions.retain(|(known, _)| !known.is_over());
        decisions.push((request, decision));
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
