//! What is heard while a request runs.
use super::{TokenLogProb, ToolCall};
use crate::Report;
use crate::learned::Progress;

/// Hears what happens to a request, in order.
pub type Listener<'a> = dyn FnMut(Event) + Send + 'a;

/// Something that happened to a request.
#[derive(Debug, Clone)]
pub enum Event {
    /// One pass of learning has ended.
    Progress(Progress),
    /// What replay did. Comes before the first piece of text.
    Report(Box<Report>),
    /// A piece of the answer; only where [`Request::stream`](super::Request) asks for them.
    Piece(Piece),
}

/// A piece of one sample: a token, or as many as make whole characters.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Piece {
    /// The sample.
    pub choice: usize,
    /// Text that was added.
    pub text: String,
    /// Thought that was added.
    pub reasoning: Option<String>,
    /// Tools that are called.
    pub tool_calls: Vec<ToolCall>,
    /// Its token, if [`Sampling::log_probs`](super::Sampling) asks for it.
    pub token: Option<TokenLogProb>,
    /// In the last piece of a sample: why it ended.
    pub finish_reason: Option<String>,
}
