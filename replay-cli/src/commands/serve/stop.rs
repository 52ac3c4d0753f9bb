//! When the server ends: at a signal it takes nothing new, answers what runs, and then goes, whoever else still holds a connection open.
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
/// How long nothing has to run before the server goes: the last bytes of an answer are still on their way.
const QUIET: Duration = Duration::from_secs(2);

/// Requests whose answer is not complete.
#[derive(Debug, Clone, Default)]
pub(super) struct Running(Arc<AtomicUsize>);

impl Running {
    /// Returns after the signal; what comes after that happens by itself.
    pub(super) async fn stopped(self) {
        signalled().await;
        eprintln!("finishing what runs; a second signal, or {} s, end it", GRACE.as_secs());
        // A connection that never sends its request would keep the server alive for ever.
        tokio::spawn(async move {
            tokio::select! { () = signalled() => {}, () = tokio::time::sleep(GRACE) => {}, () = self.quiet() => {} }
            std::process::exit(0);
        });
    }

    async fn quiet(&self) {
        let step = Duration::from_millis(100);
        let mut quiet = Duration::ZERO;
        while quiet < QUIET {
            tokio::time::sleep(step).await;
            quiet = if self.0.load(Ordering::Relaxed) == 0 { quiet + step } else { Duration::ZERO };
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
