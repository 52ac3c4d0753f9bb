//! What one request asks of replay. A request is known by its response channel, so the engine's request types stay as they are.
use std::sync::{Mutex, PoisonError};

use mistralrs_core::Response;
use replay_core::{Report, Trace};
use tokio::sync::{mpsc, oneshot};

/// Whether one request is replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// As configured.
    #[default]
    On,
    /// Not at all.
    Off,
}

/// What one request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Directive {
    /// Whether it is replayed.
    pub mode: Mode,
    /// Also write down every intermediate. Costs clean passes of both models and the lens over all rows.
    pub trace: bool,
}

/// What replay did to one request.
#[derive(Debug)]
pub struct RequestReport {
    /// The report.
    pub report: Report,
    /// With [`Directive::trace`].
    pub trace: Option<Trace>,
}

struct Entry {
    channel: mpsc::WeakSender<Response>,
    directive: Directive,
    report: oneshot::Sender<RequestReport>,
}

/// Directives of requests that have not been prefilled yet.
#[derive(Default)]
pub(crate) struct Directives(Mutex<Vec<Entry>>);

impl Directives {
    pub(crate) fn add(
        &self,
        channel: &mpsc::Sender<Response>,
        directive: Directive,
    ) -> oneshot::Receiver<RequestReport> {
        let (report, receiver) = oneshot::channel();
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|entry| entry.channel.strong_count() > 0);
        entries.push(Entry { channel: channel.downgrade(), directive, report });
        receiver
    }

    /// The directive of the request that answers on this channel, and where its report goes.
    pub(crate) fn take(
        &self,
        channel: &mpsc::Sender<Response>,
    ) -> (Directive, Option<oneshot::Sender<RequestReport>>) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |entry: &Entry| entry.channel.upgrade().is_some_and(|other| other.same_channel(channel));
        match entries.iter().position(same) {
            Some(index) => {
                let entry = entries.swap_remove(index);
                (entry.directive, Some(entry.report))
            }
            None => (Directive::default(), None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directive_belongs_to_its_channel_and_is_taken_once() {
        let directives = Directives::default();
        let (mine, _keep) = mpsc::channel(1);
        let (other, _keep_other) = mpsc::channel(1);
        let off = Directive { mode: Mode::Off, trace: true };
        let _report = directives.add(&mine, off);
        assert_eq!(directives.take(&other).0, Directive::default());
        assert_eq!(directives.take(&mine.clone()).0, off);
        assert_eq!(directives.take(&mine).0, Directive::default());
    }

    #[test]
    fn directives_of_requests_that_are_gone_are_dropped() {
        let directives = Directives::default();
        for _ in 0..10 {
            let (channel, _) = mpsc::channel(1);
            drop(directives.add(&channel, Directive::default()));
        }
        assert!(directives.0.lock().unwrap().len() <= 1);
    }
}
