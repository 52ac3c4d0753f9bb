//! The answer to a request.
use std::borrow::Cow;

use serde::Serialize;

use super::ToolCall;
use crate::{Observation, Report, Trace};

/// The answer to a request.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The samples, in order.
    pub choices: Vec<Choice>,
    /// Tokens of prompt and answers.
    pub usage: Usage,
    /// Milliseconds from sending the request until the logits of the first token are known.
    pub time_to_first_token_ms: f64,
    /// Milliseconds from sending the request until its last token.
    pub total_ms: f64,
    /// `[vocabulary]`, natural log-probabilities of the first token; empty unless [`Request::first_token`](super::Request) asks for them.
    pub first_token: Vec<f32>,
    /// The report of replay; `None` if replay is disabled.
    pub replay: Option<Report>,
    /// The trace, if [`Directive::trace`](super::Directive) asks for it.
    pub trace: Option<Trace>,
    /// The observation, if [`Directive::observe`](super::Directive) asks for it.
    pub observation: Option<Observation>,
}

impl Answer {
    /// The text of the first sample.
    pub fn text(&self) -> &str {
        self.choices.first().map_or("", |choice| &choice.text)
    }

    /// The texts of all samples.
    pub fn texts(&self) -> Vec<&str> {
        self.choices.iter().map(|choice| choice.text.as_str()).collect()
    }

    /// Natural log-probability of each token of the first sample.
    pub fn log_probs(&self) -> Vec<f32> {
        let tokens = self.choices.first().map_or(&[][..], |choice| &choice.tokens);
        tokens.iter().map(|token| token.log_prob).collect()
    }
}

/// One sample of an answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Choice {
    /// The text.
    pub text: String,
    /// The model's reasoning before the text, where the engine separates the two.
    pub reasoning: Option<String>,
    /// Tools that the model calls.
    pub tool_calls: Vec<ToolCall>,
    /// Why the sample ended: `stop`, `length`, `tool_calls`, or a word of the engine.
    pub finish_reason: String,
    /// The tokens of the sample, if [`Sampling::log_probs`](super::Sampling) asks for them.
    pub tokens: Vec<TokenLogProb>,
}

impl Choice {
    /// Reasoning and text as the model wrote them, with the usual tags between: an answer may have ended inside its reasoning.
    pub fn whole(&self) -> Cow<'_, str> {
        match self.reasoning.as_deref().filter(|reasoning| !reasoning.is_empty()) {
            None => Cow::Borrowed(&self.text),
            Some(reasoning) if self.text.is_empty() => Cow::Owned(format!("<think>{reasoning}")),
            Some(reasoning) => Cow::Owned(format!("<think>{reasoning}</think>{}", self.text)),
        }
    }
}

/// A generated token.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogProb {
    /// Its text.
    pub text: String,
    /// Its natural log-probability (with a seed, under the logits with their noise).
    pub log_prob: f32,
    /// The likeliest tokens at this position, likeliest first.
    pub alternatives: Vec<Alternative>,
}

/// A token that was likely at a position.
#[derive(Debug, Clone, PartialEq)]
pub struct Alternative {
    /// The token id, as in [`Request::logit_bias`](super::Request).
    pub id: u32,
    /// Its text.
    pub text: String,
    /// Its natural log-probability.
    pub log_prob: f32,
}

/// Tokens of prompt and answers, and the time they took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Usage {
    /// Generated tokens of all samples.
    pub completion_tokens: usize,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Prompt tokens and generated tokens together.
    pub total_tokens: usize,
    /// All tokens per second of the total time.
    pub avg_tok_per_sec: f32,
    /// Prompt tokens per second of the prefill.
    pub avg_prompt_tok_per_sec: f32,
    /// Generated tokens per second after the prefill.
    pub avg_compl_tok_per_sec: f32,
    /// Seconds of prefill and decoding together.
    pub total_time_sec: f32,
    /// Seconds of the prefill.
    pub total_prompt_time_sec: f32,
    /// Seconds after the prefill.
    pub total_completion_time_sec: f32,
}

impl Usage {
    /// The usage for these counts of tokens and times in seconds.
    pub fn new(prompt_tokens: usize, completion_tokens: usize, prompt_seconds: f32, completion_seconds: f32) -> Self {
        let per_second = |tokens: usize, seconds: f32| if seconds > 0.0 { tokens as f32 / seconds } else { 0.0 };
        let (total_tokens, seconds) = (prompt_tokens + completion_tokens, prompt_seconds + completion_seconds);
        Self {
            completion_tokens,
            prompt_tokens,
            total_tokens,
            avg_tok_per_sec: per_second(total_tokens, seconds),
            avg_prompt_tok_per_sec: per_second(prompt_tokens, prompt_seconds),
            avg_compl_tok_per_sec: per_second(completion_tokens, completion_seconds),
            total_time_sec: seconds,
            total_prompt_time_sec: prompt_seconds,
            total_completion_time_sec: completion_seconds,
        }
    }
}
