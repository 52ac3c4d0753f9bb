//! A streamed answer. The report of replay comes with the first piece that is sent after it is known: with the first token. Each choice has a
//! channel of its own; here they become one stream.
use std::convert::Infallible;
use std::time::Duration;

use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures::stream::{BoxStream, SelectAll};
use futures::{Stream, StreamExt};
use mistralrs_core::Response;
use serde_json::{Value, json};

use super::call::{Call, ReportReceiver, failure, report_json};

const KEEP_ALIVE: Duration = Duration::from_secs(10);

struct Streamed {
    responses: SelectAll<BoxStream<'static, (usize, Response)>>,
    /// Choices that have not ended.
    running: usize,
    reports: Vec<ReportReceiver>,
    model: String,
    bound: bool,
    /// Of the first piece; those of all others, as they make one answer.
    identity: Option<(Value, Value)>,
    usage: Option<Value>,
    over: bool,
}

pub(super) fn events(
    calls: Vec<Call>,
    model: &str,
    bound: bool,
) -> Sse<impl Stream<Item = Result<Event, Infallible>> + use<>> {
    let (mut responses, mut reports) = (SelectAll::new(), Vec::new());
    for (index, call) in calls.into_iter().enumerate() {
        let piece = |mut channel: tokio::sync::mpsc::Receiver<Response>| async move {
            channel.recv().await.map(|response| (response, channel))
        };
        responses.push(futures::stream::unfold(call.responses, piece).map(move |response| (index, response)).boxed());
        reports.push(call.report);
    }
    let start = Streamed {
        running: responses.len(),
        responses,
        // One of them is told: they were all asked the same.
        reports,
        model: model.to_owned(),
        bound,
        identity: None,
        usage: None,
        over: false,
    };
    let stream = futures::stream::unfold(start, |mut state| async move {
        let event = state.next().await?;
        Some((Ok(event), state))
    });
    Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

impl Streamed {
    async fn next(&mut self) -> Option<Event> {
        if self.over {
            return None;
        }
        if self.running == 0 {
            self.over = true;
            return Some(Event::default().data("[DONE]"));
        }
        let (index, response) = self.responses.next().await?;
        let object = match response {
            Response::Chunk(chunk) => serde_json::to_value(chunk),
            Response::CompletionChunk(chunk) => serde_json::to_value(chunk),
            other => {
                self.running = 0;
                return Some(Event::default().data(failure(other, self.bound).body().to_string()));
            }
        };
        Some(Event::default().data(self.piece(index, object.unwrap_or(Value::Null)).to_string()))
    }

    fn piece(&mut self, index: usize, mut piece: Value) -> Value {
        let mut ended = true;
        for choice in piece["choices"].as_array_mut().into_iter().flatten() {
            choice["index"] = json!(index);
            ended &= !choice["finish_reason"].is_null();
        }
        self.running -= usize::from(ended);
        piece["model"] = json!(self.model);
        let (id, created) =
            self.identity.get_or_insert_with(|| (piece["id"].clone(), piece["created"].clone())).clone();
        (piece["id"], piece["created"]) = (id, created);
        self.count(&mut piece);
        let report = self.reports.iter_mut().flatten().find_map(|report| report.try_recv().ok());
        if let Some(report) = report {
            piece["replay"] = report_json(&report);
            self.reports.clear();
        }
        piece
    }

    /// The engine counts each choice by itself; the last piece has the sum. The prompt is one.
    fn count(&mut self, piece: &mut Value) {
        let Some(usage) = piece.get_mut("usage").filter(|usage| !usage.is_null()).map(Value::take) else { return };
        let sum = self.usage.take().map_or(usage.clone(), |mut sum| {
            let tokens = |usage: &Value, key: &str| usage[key].as_u64().unwrap_or(0);
            sum["completion_tokens"] = json!(tokens(&sum, "completion_tokens") + tokens(&usage, "completion_tokens"));
            sum["total_tokens"] = json!(tokens(&sum, "prompt_tokens") + tokens(&sum, "completion_tokens"));
            sum
        });
        if self.running == 0 {
            piece["usage"] = sum;
        } else {
            self.usage = Some(sum);
        }
    }
}
