//! Events of a running request.
use super::{TokenLogProb, ToolCall};
use crate::Report;
use crate::learned::Progress;

/// A callback that gets the events of a request, in order.
pub type Listener<'a> = dyn FnMut(Event) + Send + 'a;

/// An event of a running request.
#[derive(Debug, Clone)]
pub enum Event {
    /// One pass of learning has ended.
    Progress(Progress),
    /// The report of replay. It comes before the first piece of text.
    Report(Box<Report>),
    /// A piece of the answer, if [`Request::stream`](super::Request) asks for pieces.
    Piece(Piece),
}

/// A piece of one sample: a token, or several tokens that together make complete characters.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Piece {
    /// The index of the sample.
    pub choice: usize,
    /// Text that was added.
    pub text: String,
    /// Reasoning that was added.
    pub reasoning: Option<String>,
    /// Tools that the model calls.
    pub tool_calls: Vec<ToolCall>,
    /// The token of the piece, if [`Sampling::log_probs`](super::Sampling) asks for it.
    pub token: Option<TokenLogProb>,
    /// Why the sample ended, in its last piece.
    pub finish_reason: Option<String>,
}
