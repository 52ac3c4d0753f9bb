//! A streamed answer. The report of replay comes with the first piece that is sent after it is known: with the first token. The usage comes
//! with the last piece.
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
use replay_core::session::{Answer, Event, Piece, Request, Session, SessionError, Usage};
use serde_json::json;
use tokio::sync::mpsc::{self, UnboundedReceiver};

use crate::serve::failure;
use crate::serve::openai::Identity;

const KEEP_ALIVE: Duration = Duration::from_secs(10);

type Asking = Pin<Box<dyn Future<Output = Result<Answer, SessionError>> + Send>>;

struct Streamed {
    /// `None` when it has ended. It goes on as the client reads.
    asking: Option<Asking>,
    events: UnboundedReceiver<Event>,
    identity: Identity,
    report: Option<Box<Report>>,
    /// Samples that have not ended.
    running: usize,
    /// The last piece waits for the usage.
    last: Option<Piece>,
    /// What is to be sent next.
    ready: VecDeque<String>,
}

pub(super) fn events(
    session: Arc<dyn Session>,
    request: Request,
    identity: Identity,
) -> Sse<impl Stream<Item = Result<ServerEvent, Infallible>> + use<>> {
    let (sender, events) = mpsc::unbounded_channel();
    let running = request.sampling.samples;
    let asking = async move {
        let mut listen = |event| {
            // The client may have gone away.
            let _ = sender.send(event);
        };
        session.ask(request, &mut listen).await
    };
    let start = Streamed {
        asking: Some(Box::pin(asking)),
        events,
        identity,
        report: None,
        running,
        last: None,
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
            let asking = self.asking.as_mut()?;
            tokio::select! {
                biased;
                Some(event) = self.events.recv() => self.hear(event),
                ended = asking => self.end(ended),
            }
        }
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Progress(_) => {}
            Event::Report(report) => self.report = Some(report),
            Event::Piece(piece) => {
                self.running -= usize::from(piece.finish_reason.is_some());
                match self.running {
                    0 => self.last = Some(piece),
                    _ => self.send(&piece, None),
                }
            }
        }
    }

    fn end(&mut self, ended: Result<Answer, SessionError>) {
        self.asking = None;
        while let Ok(event) = self.events.try_recv() {
            self.hear(event);
        }
        match ended {
            Ok(answer) => {
                if let Some(piece) = self.last.take() {
                    self.send(&piece, Some(&answer.usage));
                }
            }
            Err(error) => self.ready.push_back(failure::refusal(&error).body().to_string()),
        }
        self.ready.push_back("[DONE]".into());
    }

    fn send(&mut self, piece: &Piece, usage: Option<&Usage>) {
        let mut object = self.identity.piece(piece, usage);
        if let Some(report) = self.report.take() {
            object["replay"] = json!(report);
        }
        self.ready.push_back(object.to_string());
    }
}
