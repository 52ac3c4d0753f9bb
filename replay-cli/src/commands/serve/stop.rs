//! Shutdown of the server: at a signal it accepts no new requests, finishes running ones, and then ends, even if connections are still
//! open.
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http_body::{Frame, SizeHint};

/// How long running requests may take after a signal to stop.
const GRACE: Duration = Duration::from_secs(120);
/// How long no request may run before the server ends, so that the last bytes of an answer are sent.
const IDLE: Duration = Duration::from_secs(2);

/// The number of requests whose answer is not complete.
#[derive(Debug, Clone, Default)]
pub(super) struct Running(Arc<AtomicUsize>);

impl Running {
    /// Returns at the first signal, after spawning a task that ends the process when the running requests are finished.
    pub(super) async fn stopped(self) {
        signalled().await;
        eprintln!("finishing running requests; a second signal or {} s end the server", GRACE.as_secs());
        // Without this, a connection that never sends a request would keep the server running.
        tokio::spawn(async move {
            tokio::select! { () = signalled() => {}, () = tokio::time::sleep(GRACE) => {}, () = self.idle() => {} }
            std::process::exit(0);
        });
    }

    /// Returns when no request has run for [`IDLE`].
    async fn idle(&self) {
        let step = Duration::from_millis(100);
        let mut idle = Duration::ZERO;
        while idle < IDLE {
            tokio::time::sleep(step).await;
            idle = if self.0.load(Ordering::Relaxed) == 0 { idle + step } else { Duration::ZERO };
        }
    }
}

/// Counts a request until its answer has been sent or dropped.
pub(super) async fn count(State(running): State<Running>, request: Request, next: Next) -> Response {
    running.0.fetch_add(1, Ordering::Relaxed);
    let counted = Counted(running);
    next.run(request).await.map(|body| Body::new(CountedBody { body, _counted: counted }))
}

struct Counted(Running);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

struct CountedBody {
    body: Body,
    _counted: Counted,
}

impl HttpBody for CountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Returns at an interrupt or termination signal.
async fn signalled() {
    let interrupt = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! { () = interrupt => {}, () = terminate => {} }
}
