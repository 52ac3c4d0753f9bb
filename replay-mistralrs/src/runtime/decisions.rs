//! The decision of replay for each request, kept until the request ends. The engine prefills a preempted sequence again, together with its
//! generated tokens; that prefill, and those of further samples of the prompt, must get the edits of the first one.
use std::sync::{Arc, Mutex, PoisonError};

use mistralrs_core::forward_hook::Request;
use replay_core::Decision;

use crate::runtime::prefix_cache::PrefixIdentity;

/// The decision for one request.
#[derive(Debug, Clone)]
pub(crate) struct RequestDecision {
    pub(crate) decision: Decision,
    /// What the prompt's keys and values depend on; `None` if the prefix cache must not keep them.
    pub(crate) identity: Option<Arc<PrefixIdentity>>,
}

/// The decisions for all running requests.
#[derive(Debug, Default)]
pub(crate) struct RequestDecisions(Mutex<Vec<(Request, RequestDecision)>>);

impl RequestDecisions {
    pub(crate) fn get(&self, request: &Request) -> Option<RequestDecision> {
        let decisions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        decisions.iter().find(|(known, _)| known == request).map(|(_, decision)| decision.clone())
    }

    /// Adds a decision, and removes those of requests that have ended.
    pub(crate) fn insert(&self, request: Request, decision: RequestDecision) {
        let mut decisions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        decisions.retain(|(known, _)| !known.is_over());
        decisions.push((request, decision));
    }

    /// Removes the decisions of requests that have ended, with the edits that they hold.
    pub(crate) fn sweep(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|(known, _)| !known.is_over());
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
