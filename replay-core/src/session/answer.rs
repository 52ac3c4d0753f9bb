//! What a request ends with.
use serde::Serialize;

use super::ToolCall;
use crate::{Observation, Report, Trace};

/// The answer to a request.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// One for each sample, in order.
    pub choices: Vec<Choice>,
    /// Tokens of prompt and answers.
    pub usage: Usage,
    /// Milliseconds from sending the request to the logits of the first token.
    pub time_to_first_token_ms: f64,
    /// Milliseconds from sending the request to its last token.
    pub total_ms: f64,
    /// `[vocabulary]`, natural log-probabilities of the first token; empty unless [`Request::first_token`](super::Request) asks for them.
    pub first_token: Vec<f32>,
    /// What replay did; `None` if it is disabled.
    pub replay: Option<Report>,
    /// With [`Directive::trace`](super::Directive).
    pub trace: Option<Trace>,
    /// With [`Directive::observe`](super::Directive).
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
    /// What the model thought before it, where the engine tells the two apart.
    pub reasoning: Option<String>,
    /// Tools that the model calls.
    pub tool_calls: Vec<ToolCall>,
    /// Why it ended: `stop`, `length`, `tool_calls`, or a word of the engine.
    pub finish_reason: String,
    /// Its tokens, if [`Sampling::log_probs`](super::Sampling) asks for them.
    pub tokens: Vec<TokenLogProb>,
}

/// A generated token.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogProb {
    /// Its text.
    pub text: String,
    /// Its natural log-probability (with a seed, under the logits with their noise).
    pub log_prob: f32,
    /// The likeliest tokens at its place, most likely first.
    pub alternatives: Vec<Alternative>,
}

/// A token that could have been generated.
#[derive(Debug, Clone, PartialEq)]
pub struct Alternative {
    /// Its number, which [`Request::logit_bias`](super::Request) takes.
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
    /// The sum.
    pub total_tokens: usize,
    /// All tokens over the whole time.
    pub avg_tok_per_sec: f32,
    /// Tokens of the prompt over the time of the prefill.
    pub avg_prompt_tok_per_sec: f32,
    /// Generated tokens over the time after the prefill.
    pub avg_compl_tok_per_sec: f32,
    /// The whole time.
    pub total_time_sec: f32,
    /// The time of the prefill.
    pub total_prompt_time_sec: f32,
    /// The time after the prefill.
    pub total_completion_time_sec: f32,
}

impl Usage {
    /// From counts and times in seconds.
    pub fn new(prompt_tokens: usize, completion_tokens: usize, prompt_seconds: f32, completion_seconds: f32) -> Self {
        let over = |tokens: usize, seconds: f32| if seconds > 0.0 { tokens as f32 / seconds } else { 0.0 };
        let (total_tokens, seconds) = (prompt_tokens + completion_tokens, prompt_seconds + completion_seconds);
        Self {
            completion_tokens,
            prompt_tokens,
            total_tokens,
            avg_tok_per_sec: over(total_tokens, seconds),
            avg_prompt_tok_per_sec: over(prompt_tokens, prompt_seconds),
            avg_compl_tok_per_sec: over(completion_tokens, completion_seconds),
            total_time_sec: seconds,
            total_prompt_time_sec: prompt_seconds,
            total_completion_time_sec: completion_seconds,
        }
    }
}
