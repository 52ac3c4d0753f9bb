//! What is asked of a session.
use std::collections::BTreeMap;

use serde_json::Value;

use super::{Clip, Directive, Dry, Picture, Sampling, Settings};

/// A request. What an engine does not offer it refuses with [`SessionError::unsupported`](super::SessionError::unsupported).
#[derive(Debug, Clone)]
pub struct Request {
    /// What the model reads.
    pub input: Input,
    /// How the answer is generated.
    pub sampling: Sampling,
    /// Texts at which an answer ends.
    pub stop: Vec<String>,
    /// What is added to the logit of a token, by its number.
    pub logit_bias: BTreeMap<u32, f32>,
    /// Penalties for repeated sequences.
    pub dry: Option<Dry>,
    /// What an answer has to match.
    pub constraint: Option<Constraint>,
    /// Tools that the model may call.
    pub tools: Option<Tools>,
    /// Whether and how much the model thinks first.
    pub thinking: Thinking,
    /// Whether a prompt that is too long is cut at its beginning, in place of being refused.
    pub truncate: bool,
    /// Whether [`Event::Piece`](super::Event) is wanted.
    pub stream: bool,
    /// Whether [`Answer::first_token`](super::Answer) is wanted.
    pub first_token: bool,
    /// What is asked of replay.
    pub directive: Directive,
    /// The settings that the directive was made under; `None`: those of the moment.
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

/// What the model reads.
#[derive(Debug, Clone)]
pub enum Input {
    /// Messages, put together by the model's chat template.
    Chat(Vec<Message>),
    /// A text to go on with, without a template.
    Text(Text),
}

/// A text to go on with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text {
    /// The text.
    pub text: String,
    /// What comes after the answer.
    pub suffix: Option<String>,
    /// Whether the answer begins with the text.
    pub echo: bool,
    /// How many answers are generated, of which the likeliest are given.
    pub best_of: Option<usize>,
}

/// One message of a chat.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// `system`, `user`, `assistant`, `tool`, or what the chat template knows.
    pub role: String,
    /// What it says, in order.
    pub content: Vec<Part>,
    /// Who says it.
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

/// A tool that is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// Names the call.
    pub id: String,
    /// The function's name.
    pub name: String,
    /// JSON.
    pub arguments: String,
}

/// Tools that the model may call.
#[derive(Debug, Clone, PartialEq)]
pub struct Tools {
    /// As the OpenAI API describes them.
    pub definitions: Vec<Value>,
    /// Which is to be called: `"auto"`, `"none"`, or a tool as the OpenAI API names it.
    pub choice: Option<Value>,
}

/// Whether and how much the model thinks first; `None`: as its chat template has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Thinking {
    /// Whether it thinks.
    pub enabled: Option<bool>,
    /// `low`, `medium` or `high`.
    pub effort: Option<String>,
}

/// What an answer has to match.
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
