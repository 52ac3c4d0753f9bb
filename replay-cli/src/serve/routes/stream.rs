//! Streams an answer. The report of replay is sent with the first token, the usage after the last piece if it was asked for.
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::response::Sse;
use axum::response::sse::{Event as ServerEvent, KeepAlive};
use futures::Stream;
use replay_core::Report;
use replay_core::session::{Answer, Event, Piece, Request, Session, SessionError};
use serde_json::json;
use tokio::sync::mpsc::{self, UnboundedReceiver};

use crate::serve::failure;
use crate::serve::openai::Identity;

const KEEP_ALIVE: Duration = Duration::from_secs(10);

type PendingAnswer = Pin<Box<dyn Future<Output = Result<Answer, SessionError>> + Send>>;

struct Streamed {
    /// The running request; `None` when it has ended. It is polled when the client reads.
    pending: Option<PendingAnswer>,
    events: UnboundedReceiver<Event>,
    identity: Identity,
    report: Option<Box<Report>>,
    /// How many samples have not ended.
    running: usize,
    /// The last piece, which is sent when the answer has ended without an error.
    last: Option<Piece>,
    with_usage: bool,
    /// Data to send next.
    ready: VecDeque<String>,
}

pub(super) fn events(
    session: Arc<dyn Session>,
    request: Request,
    identity: Identity,
    with_usage: bool,
) -> Sse<impl Stream<Item = Result<ServerEvent, Infallible>> + use<>> {
    let (sender, events) = mpsc::unbounded_channel();
    let running = request.sampling.samples;
    let pending = async move {
        let mut listen = |event| {
            // Fails if the client is gone.
            let _ = sender.send(event);
        };
        session.ask(request, &mut listen).await
    };
    let start = Streamed {
        pending: Some(Box::pin(pending)),
        events,
        identity,
        report: None,
        running,
        last: None,
        with_usage,
        ready: VecDeque::new(),
    };
    let stream = futures::stream::unfold(start, |mut streamed| async move {
        let data = streamed.next().await?;
        Some((Ok(ServerEvent::default().data(data)), streamed))
    });
    Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

impl Streamed {
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(data) = self.ready.pop_front() {
                return Some(data);
            }
            let pending = self.pending.as_mut()?;
            tokio::select! {
                biased;
                Some(event) = self.events.recv() => self.handle(event),
                result = pending => self.end(result),
            }
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Progress(_) => {}
            Event::Report(report) => self.report = Some(report),
            Event::Piece(piece) => {
                // An adapter may end a sample twice, or go on after its end.
                self.running = self.running.saturating_sub(usize::from(piece.finish_reason.is_some()));
                if let Some(earlier) = self.last.take() {
                    self.send(&earlier);
                }
                match self.running {
                    0 => self.last = Some(piece),
                    _ => self.send(&piece),
                }
            }
        }
    }

    fn end(&mut self, result: Result<Answer, SessionError>) {
        self.pending = None;
        while let Ok(event) = self.events.try_recv() {
            self.handle(event);
        }
        match result {
            Ok(answer) => {
                if let Some(piece) = self.last.take() {
                    self.send(&piece);
                }
                if self.with_usage {
                    self.ready.push_back(self.identity.usage(&answer.usage).to_string());
                }
            }
            Err(error) => self.ready.push_back(failure::api_error(&error).body().to_string()),
        }
        self.ready.push_back("[DONE]".into());
    }

    fn send(&mut self, piece: &Piece) {
        let mut object = self.identity.piece(piece, self.with_usage);
        if let Some(report) = self.report.take() {
            object["replay"] = json!(report);
        }
        self.ready.push_back(object.to_string());
    }
}
