//! The tasks to run before the prefill of each pending request. A request is identified by its response channel, so the engine's request types
//! need no new field.
use std::sync::{Mutex, PoisonError};

use mistralrs_core::Response;
use replay_core::conformance::{Observed, Plan};
use replay_core::learned::Progress;
use replay_core::session::{Directive, RequestReport, Settings};
use tokio::sync::{mpsc, oneshot};

/// Replay of one request.
#[derive(Debug, Default)]
pub(crate) struct ReplayTask {
    pub(crate) directive: Directive,
    /// The settings under which the request was sent; `None` for those in force at its prefill.
    pub(crate) settings: Option<Settings>,
    /// Receives the report.
    pub(crate) report: Option<oneshot::Sender<RequestReport>>,
    /// Receives the progress of learning after each pass.
    pub(crate) progress: Option<mpsc::UnboundedSender<Progress>>,
}

/// The task to run before the prefill of one request.
pub(crate) enum PrefillTask {
    Replay(ReplayTask),
    /// A plan of the conformance kit, which runs in place of replay, and the receiver of its result.
    Plan(Plan, oneshot::Sender<replay_core::Result<Observed>>),
}

struct Entry {
    channel: mpsc::WeakSender<Response>,
    task: PrefillTask,
}

/// The tasks of all pending requests.
#[derive(Default)]
pub(crate) struct PrefillTasks(Mutex<Vec<Entry>>);

impl PrefillTasks {
    /// Adds the task of the request that answers on this channel, and removes the tasks of requests that were dropped.
    pub(crate) fn add(&self, channel: &mpsc::Sender<Response>, task: PrefillTask) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|entry| entry.channel.strong_count() > 0);
        entries.push(Entry { channel: channel.downgrade(), task });
    }

    /// Takes the task of the request that answers on this channel; replay without a directive if it has none.
    pub(crate) fn take(&self, channel: &mpsc::Sender<Response>) -> PrefillTask {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|entry| entry.channel.strong_count() > 0);
        let same = |entry: &Entry| entry.channel.upgrade().is_some_and(|other| other.same_channel(channel));
        match entries.iter().position(same) {
            Some(index) => entries.swap_remove(index).task,
            None => PrefillTask::Replay(ReplayTask::default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use replay_core::session::Mode;

    use super::*;

    fn directive(task: PrefillTask) -> Directive {
        match task {
            PrefillTask::Replay(task) => task.directive,
            PrefillTask::Plan(..) => panic!("a plan"),
        }
    }

    #[test]
    fn a_task_belongs_to_its_channel_and_is_taken_once() {
        let tasks = PrefillTasks::default();
        let (mine, _keep) = mpsc::channel(1);
        let (other, _keep_other) = mpsc::channel(1);
        let off = Directive { mode: Mode::Off, trace: true, ..Directive::default() };
        tasks.add(&mine, PrefillTask::Replay(ReplayTask { directive: off, ..ReplayTask::default() }));
        assert_eq!(directive(tasks.take(&other)), Directive::default());
        assert_eq!(directive(tasks.take(&mine.clone())), off);
        assert_eq!(directive(tasks.take(&mine)), Directive::default());
    }

    #[test]
    fn tasks_of_dropped_requests_are_removed() {
        let tasks = PrefillTasks::default();
        for _ in 0..10 {
            let (channel, _) = mpsc::channel(1);
            tasks.add(&channel, PrefillTask::Replay(ReplayTask::default()));
        }
        assert!(tasks.0.lock().unwrap().len() <= 1);
    }
}
