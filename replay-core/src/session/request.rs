//! The request to a session.
use std::collections::BTreeMap;

use serde_json::Value;

use super::{Clip, Directive, Dry, Picture, Sampling, Settings};

/// A request. An engine refuses a field that it does not support with [`SessionError::unsupported`](super::SessionError::unsupported).
#[derive(Debug, Clone)]
pub struct Request {
    /// The messages or the text of the prompt.
    pub input: Input,
    /// How the answer is generated.
    pub sampling: Sampling,
    /// Texts that end an answer.
    pub stop: Vec<String>,
    /// A bias for the logits of some tokens, by token id.
    pub logit_bias: BTreeMap<u32, f32>,
    /// Penalties for repeated sequences.
    pub dry: Option<Dry>,
    /// A grammar or schema that the answer has to match.
    pub constraint: Option<Constraint>,
    /// Tools that the model may call.
    pub tools: Option<Tools>,
    /// Whether and how much the model reasons before it answers.
    pub thinking: Thinking,
    /// Whether a prompt that is too long is cut at its beginning instead of refused.
    pub truncate: bool,
    /// Whether to send [`Event::Piece`](super::Event).
    pub stream: bool,
    /// Whether to fill in [`Answer::first_token`](super::Answer).
    pub first_token: bool,
    /// The replay options.
    pub directive: Directive,
    /// The settings to which the directive's profile belongs; `None`: the current settings.
    pub settings: Option<Settings>,
}

impl Request {
    /// A request with every option at its default.
    pub fn new(input: impl Into<Input>) -> Self {
        Self {
            input: input.into(),
            sampling: Sampling::default(),
            stop: Vec::new(),
            logit_bias: BTreeMap::new(),
            dry: None,
            constraint: None,
            tools: None,
            thinking: Thinking::default(),
            truncate: false,
            stream: false,
            first_token: false,
            directive: Directive::default(),
            settings: None,
        }
    }
}

/// The prompt of a request.
#[derive(Debug, Clone)]
pub enum Input {
    /// Messages, formatted by the model's chat template.
    Chat(Vec<Message>),
    /// A text that the model continues, without a template.
    Text(Text),
}

/// A text that the model continues.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text {
    /// The text.
    pub text: String,
    /// The text that follows the answer (fill in the middle).
    pub suffix: Option<String>,
    /// Whether the answer begins with the text.
    pub echo: bool,
    /// How many answers are generated; the likeliest of them are returned.
    pub best_of: Option<usize>,
}

/// One message of a chat.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// `system`, `user`, `assistant`, `tool`, or another role of the chat template.
    pub role: String,
    /// The parts of the message, in order.
    pub content: Vec<Part>,
    /// The author's name.
    pub name: Option<String>,
    /// Tools that the assistant called.
    pub tool_calls: Vec<ToolCall>,
    /// The call that a tool's message answers.
    pub tool_call_id: Option<String>,
}

impl Message {
    /// A message without names or tools.
    pub fn new(role: impl Into<String>, content: Vec<Part>) -> Self {
        Self { role: role.into(), content, name: None, tool_calls: Vec::new(), tool_call_id: None }
    }
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// Text.
    Text(String),
    /// An image.
    Image(Picture),
    /// A video.
    Video(Clip),
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// The id of the call.
    pub id: String,
    /// The function's name.
    pub name: String,
    /// The arguments, as JSON.
    pub arguments: String,
}

/// Tools that the model may call.
#[derive(Debug, Clone, PartialEq)]
pub struct Tools {
    /// The definitions of the tools, in the format of the OpenAI API.
    pub definitions: Vec<Value>,
    /// The tool to call, in the format of the OpenAI API: `"auto"`, `"none"`, or one tool.
    pub choice: Option<Value>,
}

/// Whether and how much the model reasons before it answers. `None`: the default of its chat template.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Thinking {
    /// Whether the model reasons.
    pub enabled: Option<bool>,
    /// How much the model reasons: `low`, `medium` or `high`.
    pub effort: Option<String>,
}

/// A grammar or schema that the answer has to match.
#[derive(Debug, Clone, PartialEq)]
pub enum Constraint {
    /// A JSON schema.
    JsonSchema(Value),
    /// A regular expression.
    Regex(String),
    /// A grammar in Lark's notation.
    Lark(String),
    /// A grammar of the llguidance library, as JSON.
    Llguidance(Value),
}
