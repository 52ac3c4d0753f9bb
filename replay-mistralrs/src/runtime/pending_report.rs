//! The report of a decision, which is true only once the prefill has made its edits.
use mistralrs_core::Response;
use replay_core::session::{Profile, RequestReport, Settings};
use replay_core::{Decided, Decision, Error, ReplayCache};
use tokio::sync::{mpsc, oneshot};

/// A report that waits for the prefill of its request.
pub(crate) struct PendingReport {
    pub(crate) decided: Decided,
    pub(crate) settings: Settings,
    pub(crate) profile: Option<Profile>,
    pub(crate) receiver: Option<oneshot::Sender<RequestReport>>,
    /// The channel of the answer.
    pub(crate) responder: mpsc::Sender<Response>,
}

impl PendingReport {
    /// Sends the report, and counts the decision. After a fault the request goes on without replay or fails, as its settings say.
    pub(crate) fn send(self, fault: Option<&Error>, cache: &ReplayCache) {
        let replayer = self.settings.of(self.profile);
        let decided = fault.map_or(self.decided, |fault| replayer.failed(fault));
        replayer.count(&decided, cache);
        if let Decision::Fail(why) = &decided.decision {
            // Its client hangs up on this, which ends the sequence.
            let _ = self.responder.try_send(Response::InternalError(why.clone().into()));
        }
        if let Some(receiver) = self.receiver {
            let _ = receiver.send(decided.request_report);
        }
    }
}
