//! A request on its way: what is heard on its channels until it ends.
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use mistralrs_core::Response;
use replay_core::learned::Progress;
use replay_core::session::{Answer, Choice, Event, Listener, Piece, RequestReport, SessionError, Usage};
use tokio::sync::{mpsc, oneshot};

use super::answer;
use super::failure::failure;
use super::first_token::FirstToken;

/// Where the engine answers one request.
pub(super) type Channel = mpsc::Sender<Response>;

/// Responses that wait to be heard.
pub(super) const CAPACITY: usize = 16;

/// What replay tells of one engine request.
pub(super) struct Reporting {
    pub(super) report: oneshot::Receiver<RequestReport>,
    pub(super) passes: mpsc::UnboundedReceiver<Progress>,
}

/// One request of a session: an engine request for the whole of it, or for each of its samples.
pub(super) struct Call {
    constrained: bool,
    streams: Vec<mpsc::Receiver<Response>>,
    reporting: Vec<Reporting>,
    /// Of the samples that have been heard in pieces.
    pieces: Vec<Choice>,
    usage: Option<Usage>,
    replay: Option<RequestReport>,
    /// Where to look first, so that no stream waits for another.
    turn: usize,
}

enum Heard {
    Progress(Progress),
    Report(Box<RequestReport>),
    Response(usize, Response),
    Closed,
}

impl Call {
    pub(super) fn new(constrained: bool) -> Self {
        Self {
            constrained,
            streams: Vec::new(),
            reporting: Vec::new(),
            pieces: Vec::new(),
            usage: None,
            replay: None,
            turn: 0,
        }
    }

    pub(super) fn add(&mut self, responses: mpsc::Receiver<Response>, reporting: Option<Reporting>) {
        self.streams.push(responses);
        self.reporting.extend(reporting);
        self.pieces.push(Choice::default());
    }

    /// Hears the request to its end.
    pub(super) async fn hear(mut self, listen: &mut Listener<'_>, first: &FirstToken) -> Result<Answer, SessionError> {
        loop {
            match std::future::poll_fn(|context| self.poll(context)).await {
                Heard::Progress(progress) => listen(Event::Progress(progress)),
                // All samples were asked the same: one of them is told.
                Heard::Report(report) if self.replay.is_none() => {
                    listen(Event::Report(Box::new(report.report.clone())));
                    self.replay = Some(*report);
                }
                Heard::Report(_) => {}
                Heard::Response(_, Response::Done(done)) => {
                    let (choices, usage) = answer::of_chat(done);
                    return Ok(self.answer(choices, usage, first));
                }
                Heard::Response(_, Response::CompletionDone(done)) => {
                    let (choices, usage) = answer::of_text(done);
                    return Ok(self.answer(choices, usage, first));
                }
                Heard::Response(stream, Response::Chunk(chunk)) => {
                    let (pieces, usage) = answer::of_chat_chunk(stream, chunk);
                    self.count(usage);
                    self.take(pieces, listen);
                }
                Heard::Response(stream, Response::CompletionChunk(chunk)) => {
                    self.take(answer::of_text_chunk(stream, chunk), listen);
                }
                Heard::Response(_, other) => return Err(failure(other, self.constrained)),
                Heard::Closed => return Err(SessionError::Stopped),
            }
            if self.pieces.iter().all(|choice| !choice.finish_reason.is_empty()) {
                let (choices, usage) = (std::mem::take(&mut self.pieces), self.usage.unwrap_or_default());
                return Ok(self.answer(choices, usage, first));
            }
        }
    }

    /// What replay tells comes in front of what the engine answers: it is known earlier.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Heard> {
        let mut reported = None;
        for (index, reporting) in self.reporting.iter_mut().enumerate() {
            if let Poll::Ready(Some(progress)) = reporting.passes.poll_recv(context) {
                return Poll::Ready(Heard::Progress(progress));
            }
            if let Poll::Ready(report) = Pin::new(&mut reporting.report).poll(context) {
                reported = Some((index, report));
                break;
            }
        }
        if let Some((index, report)) = reported {
            self.reporting.remove(index);
            // A request that is not prefilled has no report.
            if let Ok(report) = report {
                return Poll::Ready(Heard::Report(Box::new(report)));
            }
        }
        let (count, first) = (self.streams.len(), self.turn);
        let mut open = false;
        for stream in (0..count).map(|offset| (first + offset) % count) {
            match self.streams[stream].poll_recv(context) {
                Poll::Ready(Some(response)) => {
                    self.turn = (stream + 1) % count;
                    return Poll::Ready(Heard::Response(stream, response));
                }
                // It may have ended well.
                Poll::Ready(None) => {}
                Poll::Pending => open = true,
            }
        }
        if open { Poll::Pending } else { Poll::Ready(Heard::Closed) }
    }

    /// The engine counts each sample by itself. The prompt is one.
    fn count(&mut self, usage: Option<Usage>) {
        let Some(usage) = usage else { return };
        self.usage = Some(self.usage.map_or(usage, |sum| Usage {
            completion_tokens: sum.completion_tokens + usage.completion_tokens,
            total_tokens: sum.prompt_tokens + sum.completion_tokens + usage.completion_tokens,
            ..sum
        }));
    }

    fn take(&mut self, pieces: Vec<Piece>, listen: &mut Listener<'_>) {
        for piece in pieces {
            let choice = &mut self.pieces[piece.choice];
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

    fn answer(self, choices: Vec<Choice>, usage: Usage, first: &FirstToken) -> Answer {
        let (time_to_first_token_ms, total_ms) = first.milliseconds();
        let (replay, trace, observation) = match self.replay {
            Some(RequestReport { report, trace, observation }) => (Some(report), trace, observation),
            None => (None, None, None),
        };
        let first_token = first.log_probs();
        Answer { choices, usage, time_to_first_token_ms, total_ms, first_token, replay, trace, observation }
    }
}
