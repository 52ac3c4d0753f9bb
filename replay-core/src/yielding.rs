//! Cooperative yielding between the steps of a long computation.
use std::future::poll_fn;
use std::task::Poll;

/// Yields to the executor once: the future is pending on its first poll, and wakes itself at once.
pub async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn a_future_yields_once_and_goes_on() {
        let mut future = pin!(yield_now());
        let mut context = Context::from_waker(Waker::noop());
        assert!(future.as_mut().poll(&mut context).is_pending());
        assert!(future.as_mut().poll(&mut context).is_ready());
        pollster::block_on(yield_now());
    }
}
