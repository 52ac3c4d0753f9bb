//! A streamed answer. The report of replay comes with the first piece that is sent after it is known: with the first token.
use std::convert::Infallible;
use std::time::Duration;

use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures::Stream;
use mistralrs_core::Response;
use serde_json::Value;
use tokio::sync::mpsc::Receiver;

use super::chat::{ReportReceiver, failure, said};

const KEEP_ALIVE: Duration = Duration::from_secs(10);

struct Streamed {
    responses: Receiver<Response>,
    report: ReportReceiver,
    model: String,
    phase: Phase,
}

enum Phase {
    Running,
    /// All that is left is the mark of the end.
    Ending,
    Over,
}

pub(super) fn events(
    responses: Receiver<Response>,
    report: ReportReceiver,
    model: String,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let start = Streamed { responses, report, model, phase: Phase::Running };
    let stream = futures::stream::unfold(start, |mut state| async move {
        let event = state.next().await?;
        Some((Ok(event), state))
    });
    Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

impl Streamed {
    async fn next(&mut self) -> Option<Event> {
        match self.phase {
            Phase::Over => return None,
            Phase::Ending => {
                self.phase = Phase::Over;
                return Some(Event::default().data("[DONE]"));
            }
            Phase::Running => {}
        }
        match self.responses.recv().await? {
            Response::Chunk(chunk) => {
                if chunk.choices.iter().all(|choice| choice.finish_reason.is_some()) {
                    self.phase = Phase::Ending;
                }
                let mut object = serde_json::to_value(chunk).unwrap_or(Value::Null);
                object["model"] = Value::String(self.model.clone());
                if let Some(report) = self.report.as_mut().and_then(|report| report.try_recv().ok()) {
                    object["replay"] = said(&report);
                    self.report = None;
                }
                Some(Event::default().data(object.to_string()))
            }
            other => {
                self.phase = Phase::Ending;
                Some(Event::default().data(failure(other).body().to_string()))
            }
        }
    }
}
