//! What was decided for each request, kept until it ends. An engine prefills a sequence again after it was set aside, with its
//! generated tokens, and each prefill must get the edits of the first; so must the further samples of one prompt.
use std::sync::{Arc, Mutex, PoisonError};

use mistralrs_core::forward_hook::Request;
use replay_core::Decision;

use crate::runtime::prefix_cache::Identity;

/// A decision, and what its prompt's keys and values depend on; `None` if they are not to be kept.
#[derive(Debug, Clone)]
pub(crate) struct Decided {
    pub(crate) decision: Decision,
    pub(crate) identity: Option<Arc<Identity>>,
}

#[derive(Debug, Default)]
pub(crate) struct Decisions(Mutex<Vec<(Request, Decided)>>);

impl Decisions {
    pub(crate) fn get(&self, request: &Request) -> Option<Decided> {
        let decisions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        decisions.iter().find(|(known, _)| known == request).map(|(_, decided)| decided.clone())
    }

    /// Also forgets the requests that are over.
    pub(crate) fn insert(&self, request: Request, decided: Decided) {
        let mut decisions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        decisions.retain(|(known, _)| !known.is_over());
        decisions.push((request, decided));
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
