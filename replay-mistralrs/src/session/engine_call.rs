//! A running request: receives the responses of the engine and the report and progress of replay until the request ends.
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use mistralrs_core::Response;
use replay_core::learned::Progress;
use replay_core::session::{Answer, Choice, Event, Listener, Piece, RequestReport, SessionError, Usage};
use tokio::sync::{mpsc, oneshot};

use super::answer;
use super::first_token::FirstToken;
use super::session_error::session_error;

/// The channel on which the engine answers one request.
pub(super) type Channel = mpsc::Sender<Response>;

/// The number of responses that a channel buffers.
pub(super) const CAPACITY: usize = 16;

/// Receives report and progress of replay for one engine request.
pub(super) struct ReplayReceivers {
    pub(super) report: oneshot::Receiver<RequestReport>,
    pub(super) progress: mpsc::UnboundedReceiver<Progress>,
}

/// One request of a session, which is one engine request, or one for each sample if it streams.
pub(super) struct EngineCall {
    /// Whether a grammar or schema constrains the answer.
    constrained: bool,
    streams: Vec<mpsc::Receiver<Response>>,
    replay_receivers: Vec<ReplayReceivers>,
    /// The samples as received so far, if the request streams.
    samples: Vec<Choice>,
    usage: Option<Usage>,
    replay: Option<RequestReport>,
    /// The stream to poll first, so that all streams are served in turn.
    next_stream: usize,
}

/// What arrives next on the channels of a request.
enum CallEvent {
    Progress(Progress),
    Report(Box<RequestReport>),
    Response(usize, Response),
    Closed,
}

impl EngineCall {
    pub(super) fn new(constrained: bool) -> Self {
        Self {
            constrained,
            streams: Vec::new(),
            replay_receivers: Vec::new(),
            samples: Vec::new(),
            usage: None,
            replay: None,
            next_stream: 0,
        }
    }

    /// Adds the channels of one engine request.
    pub(super) fn add_stream(&mut self, responses: mpsc::Receiver<Response>, receivers: Option<ReplayReceivers>) {
        self.streams.push(responses);
        self.replay_receivers.extend(receivers);
        self.samples.push(Choice::default());
    }

    /// Receives until the request ends, and passes every event to `listen`.
    ///
    /// # Errors
    /// If the engine answers with an error, or stops.
    pub(super) async fn receive_answer(
        mut self,
        listen: &mut Listener<'_>,
        first: &FirstToken,
    ) -> Result<Answer, SessionError> {
        loop {
            match std::future::poll_fn(|context| self.poll(context)).await {
                CallEvent::Progress(progress) => listen(Event::Progress(progress)),
                // All samples have the same prompt, so only the first report is passed on.
                CallEvent::Report(report) if self.replay.is_none() => {
                    listen(Event::Report(Box::new(report.report.clone())));
                    self.replay = Some(*report);
                }
                CallEvent::Report(_) => {}
                CallEvent::Response(_, Response::Done(done)) => {
                    let (choices, usage) = answer::convert_chat(done);
                    return Ok(self.into_answer(choices, usage, first));
                }
                CallEvent::Response(_, Response::CompletionDone(done)) => {
                    let (choices, usage) = answer::convert_text(done);
                    return Ok(self.into_answer(choices, usage, first));
                }
                CallEvent::Response(stream, Response::Chunk(chunk)) => {
                    let (pieces, usage) = answer::convert_chat_chunk(stream, chunk);
                    self.add_usage(usage);
                    self.add_pieces(pieces, listen);
                }
                CallEvent::Response(stream, Response::CompletionChunk(chunk)) => {
                    self.add_pieces(answer::convert_text_chunk(stream, chunk), listen);
                }
                CallEvent::Response(_, other) => return Err(session_error(other, self.constrained)),
                CallEvent::Closed => return Err(SessionError::Stopped),
            }
            if self.samples.iter().all(|choice| !choice.finish_reason.is_empty()) {
                let (choices, usage) = (std::mem::take(&mut self.samples), self.usage.unwrap_or_default());
                return Ok(self.into_answer(choices, usage, first));
            }
        }
    }

    /// Polls the channels of replay before those of the engine, so that a report precedes the answer to its prefill.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<CallEvent> {
        let mut reported = None;
        for (index, receivers) in self.replay_receivers.iter_mut().enumerate() {
            if let Poll::Ready(Some(progress)) = receivers.progress.poll_recv(context) {
                return Poll::Ready(CallEvent::Progress(progress));
            }
            if let Poll::Ready(report) = Pin::new(&mut receivers.report).poll(context) {
                reported = Some((index, report));
                break;
            }
        }
        if let Some((index, report)) = reported {
            self.replay_receivers.remove(index);
            // A request that is not prefilled has no report.
            if let Ok(report) = report {
                return Poll::Ready(CallEvent::Report(Box::new(report)));
            }
        }
        let (count, first) = (self.streams.len(), self.next_stream);
        let mut any_pending = false;
        for stream in (0..count).map(|offset| (first + offset) % count) {
            match self.streams[stream].poll_recv(context) {
                Poll::Ready(Some(response)) => {
                    self.next_stream = (stream + 1) % count;
                    return Poll::Ready(CallEvent::Response(stream, response));
                }
                // A stream that has ended normally is closed too.
                Poll::Ready(None) => {}
                Poll::Pending => any_pending = true,
            }
        }
        if any_pending { Poll::Pending } else { Poll::Ready(CallEvent::Closed) }
    }

    /// Adds the usage of one sample. The engine counts the prompt for every sample, and it is counted once here.
    fn add_usage(&mut self, usage: Option<Usage>) {
        let Some(usage) = usage else { return };
        self.usage = Some(self.usage.map_or(usage, |sum| Usage {
            completion_tokens: sum.completion_tokens + usage.completion_tokens,
            total_tokens: sum.prompt_tokens + sum.completion_tokens + usage.completion_tokens,
            ..sum
        }));
    }

    fn add_pieces(&mut self, pieces: Vec<Piece>, listen: &mut Listener<'_>) {
        for piece in pieces {
            let choice = &mut self.samples[piece.choice];
            choice.text.push_str(&piece.text);
            if let Some(reasoning) = &piece.reasoning {
                choice.reasoning.get_or_insert_default().push_str(reasoning);
            }
            choice.tool_calls.extend(piece.tool_calls.iter().cloned());
            choice.tokens.extend(piece.token.clone());
            if let Some(reason) = &piece.finish_reason {
                choice.finish_reason.clone_from(reason);
            }
            listen(Event::Piece(piece));
        }
    }

    fn into_answer(self, choices: Vec<Choice>, usage: Usage, first: &FirstToken) -> Answer {
        let (time_to_first_token_ms, total_ms) = first.milliseconds();
        let (replay, trace, observation) = match self.replay {
            Some(RequestReport { report, trace, observation }) => (Some(report), trace, observation),
            None => (None, None, None),
        };
        let first_token = first.log_probs();
        Answer { choices, usage, time_to_first_token_ms, total_ms, first_token, replay, trace, observation }
    }
}
