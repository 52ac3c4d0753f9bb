//! What requests that have not been prefilled yet ask of replay. A request is known by its response channel, so the engine's request types stay as they are.
use std::sync::{Mutex, PoisonError};

use mistralrs_core::Response;
use replay_core::conformance::{Observed, Plan};
use replay_core::learned::Progress;
use replay_core::session::{Directive, RequestReport, Settings};
use tokio::sync::{mpsc, oneshot};

/// What goes with a request, and who hears what of it.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    /// The settings that the request came under; `None`: those of its prefill.
    pub(crate) settings: Option<Settings>,
    /// The report.
    pub(crate) report: Option<oneshot::Sender<RequestReport>>,
    /// Each pass of learning.
    pub(crate) progress: Option<mpsc::UnboundedSender<Progress>>,
}

/// What is done before the prefill of one request, and who hears of it.
pub(crate) enum Order {
    Replay(Directive, Listeners),
    /// A plan of the conformance kit, in place of replay.
    Plan(Plan, oneshot::Sender<replay_core::Result<Observed>>),
}

struct Entry {
    channel: mpsc::WeakSender<Response>,
    order: Order,
}

/// Orders of requests that have not been prefilled yet.
#[derive(Default)]
pub(crate) struct Orders(Mutex<Vec<Entry>>);

impl Orders {
    pub(crate) fn add(&self, channel: &mpsc::Sender<Response>, order: Order) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|entry| entry.channel.strong_count() > 0);
        entries.push(Entry { channel: channel.downgrade(), order });
    }

    /// The order of the request that answers on this channel.
    pub(crate) fn take(&self, channel: &mpsc::Sender<Response>) -> Order {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|entry| entry.channel.strong_count() > 0);
        let same = |entry: &Entry| entry.channel.upgrade().is_some_and(|other| other.same_channel(channel));
        match entries.iter().position(same) {
            Some(index) => entries.swap_remove(index).order,
            None => Order::Replay(Directive::default(), Listeners::default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use replay_core::session::Mode;

    use super::*;

    fn directive(order: Order) -> Directive {
        match order {
            Order::Replay(directive, _) => directive,
            Order::Plan(..) => panic!("a plan"),
        }
    }

    #[test]
    fn an_order_belongs_to_its_channel_and_is_taken_once() {
        let orders = Orders::default();
        let (mine, _keep) = mpsc::channel(1);
        let (other, _keep_other) = mpsc::channel(1);
        let off = Directive { mode: Mode::Off, trace: true, ..Directive::default() };
        orders.add(&mine, Order::Replay(off, Listeners::default()));
        assert_eq!(directive(orders.take(&other)), Directive::default());
        assert_eq!(directive(orders.take(&mine.clone())), off);
        assert_eq!(directive(orders.take(&mine)), Directive::default());
    }

    #[test]
    fn orders_of_requests_that_are_gone_are_dropped() {
        let orders = Orders::default();
        for _ in 0..10 {
            let (channel, _) = mpsc::channel(1);
            orders.add(&channel, Order::Replay(Directive::default(), Listeners::default()));
        }
        assert!(orders.0.lock().unwrap().len() <= 1);
    }
}
