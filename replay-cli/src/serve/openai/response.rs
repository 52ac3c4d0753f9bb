//! Writes answers and their pieces in the format of the OpenAI API.
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use replay_core::session::{Alternative, Answer, Choice, Piece, TokenLogProb, ToolCall, Usage};
use serde_json::{Value, json};

/// The kind of completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Chat completions.
    Chat,
    /// Text completions.
    Text,
}

/// The fields that all objects of one answer share.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    kind: Kind,
    id: String,
    created: u64,
    model: String,
}

impl Identity {
    /// The identity of a new answer of this model.
    pub(crate) fn new(kind: Kind, model: &str) -> Self {
        static ANSWERS: AtomicU64 = AtomicU64::new(0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let number = ANSWERS.fetch_add(1, Ordering::Relaxed);
        let prefix = if kind == Kind::Chat { "chatcmpl" } else { "cmpl" };
        let id = format!("{prefix}-{:x}-{number:x}", now.as_nanos());
        Self { kind, id, created: now.as_secs(), model: model.to_owned() }
    }

    /// The object of a complete answer.
    pub(crate) fn answer(&self, answer: &Answer, log_probs: bool) -> Value {
        let choices = answer.choices.iter().enumerate();
        let choices: Vec<Value> = choices.map(|(index, choice)| self.choice(index, choice, log_probs)).collect();
        let object = if self.kind == Kind::Chat { "chat.completion" } else { "text_completion" };
        let mut object = self.object(object, choices);
        object["usage"] = json!(answer.usage);
        if let Some(report) = &answer.replay {
            object["replay"] = json!(report);
        }
        object
    }

    fn choice(&self, index: usize, choice: &Choice, log_probs: bool) -> Value {
        let log_probs = if log_probs { tokens(&choice.tokens) } else { Value::Null };
        let mut object = json!({ "finish_reason": choice.finish_reason, "index": index, "logprobs": log_probs });
        match self.kind {
            Kind::Text => object["text"] = json!(choice.text),
            Kind::Chat => {
                object["message"] = json!({
                    "role": "assistant",
                    "content": content(&choice.text, &choice.tool_calls),
                    "tool_calls": tool_calls(&choice.tool_calls),
                });
                if let Some(reasoning) = &choice.reasoning {
                    object["message"]["reasoning_content"] = json!(reasoning);
                }
            }
        }
        object
    }

    /// The object of one piece of a stream. `with_usage`: whether the usage follows, so that it is null here.
    pub(crate) fn piece(&self, piece: &Piece, with_usage: bool) -> Value {
        let log_probs = piece.token.as_ref().map(|token| tokens(std::slice::from_ref(token)));
        let mut choice = json!({ "finish_reason": piece.finish_reason, "index": piece.choice, "logprobs": log_probs });
        match self.kind {
            Kind::Text => choice["text"] = json!(piece.text),
            Kind::Chat => {
                choice["delta"] = json!({
                    "role": "assistant",
                    "content": content(&piece.text, &piece.tool_calls),
                    "tool_calls": tool_calls(&piece.tool_calls),
                });
                if let Some(reasoning) = &piece.reasoning {
                    choice["delta"]["reasoning_content"] = json!(reasoning);
                }
            }
        }
        let object = if self.kind == Kind::Chat { "chat.completion.chunk" } else { "text_completion" };
        let mut object = self.object(object, vec![choice]);
        if with_usage {
            object["usage"] = Value::Null;
        }
        object
    }

    /// The last object of a stream that was asked for the usage.
    pub(crate) fn usage(&self, usage: &Usage) -> Value {
        let object = if self.kind == Kind::Chat { "chat.completion.chunk" } else { "text_completion" };
        let mut object = self.object(object, Vec::new());
        object["usage"] = json!(usage);
        object
    }

    fn object(&self, object: &str, choices: Vec<Value>) -> Value {
        json!({
            "id": self.id,
            "object": object,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": "local",
            "choices": choices,
        })
    }
}

/// The content of a message: `null` if it only calls tools.
fn content(text: &str, calls: &[ToolCall]) -> Value {
    if text.is_empty() && !calls.is_empty() { Value::Null } else { json!(text) }
}

fn tool_calls(calls: &[ToolCall]) -> Value {
    let call = |(index, call): (usize, &ToolCall)| {
        json!({
            "index": index,
            "id": call.id,
            "type": "function",
            "function": { "name": call.name, "arguments": call.arguments },
        })
    };
    if calls.is_empty() { Value::Null } else { calls.iter().enumerate().map(call).collect() }
}

fn tokens(tokens: &[TokenLogProb]) -> Value {
    let entry =
        |text: &str, log_prob: f32| json!({ "token": text, "logprob": finite(log_prob), "bytes": text.as_bytes() });
    let token = |token: &TokenLogProb| {
        let mut object = entry(&token.text, token.log_prob);
        let other = |other: &Alternative| {
            let mut object = entry(&other.text, other.log_prob);
            // An addition to the API: the token id, as in `logit_bias`.
            object["id"] = json!(other.id);
            object
        };
        object["top_logprobs"] = token.alternatives.iter().map(other).collect();
        object
    };
    json!({ "content": tokens.iter().map(token).collect::<Vec<_>>() })
}

/// The log-probability, or -9999 for minus infinity, which JSON cannot write; the OpenAI API uses the same value.
fn finite(log_prob: f32) -> f32 {
    if log_prob.is_finite() { log_prob } else { -9999.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_probabilities_are_numbers_whatever_they_are() {
        let token = TokenLogProb {
            text: "é".into(),
            log_prob: -0.5,
            alternatives: vec![Alternative { id: 5, text: "e".into(), log_prob: f32::NEG_INFINITY }],
        };
        let choice =
            Choice { text: "é".into(), tokens: vec![token], finish_reason: "stop".into(), ..Choice::default() };
        let answer = Answer { choices: vec![choice], ..Answer::default() };
        let object = Identity::new(Kind::Chat, "m").answer(&answer, true);
        let first = &object["choices"][0]["logprobs"]["content"][0];
        assert_eq!((&first["token"], &first["bytes"]), (&json!("é"), &json!([195, 169])));
        assert_eq!(first["top_logprobs"][0]["logprob"], json!(-9999.0));
        assert_eq!(Identity::new(Kind::Chat, "m").answer(&answer, false)["choices"][0]["logprobs"], Value::Null);
    }

    #[test]
    fn a_message_that_only_calls_tools_has_null_content() {
        let call = ToolCall { id: "1".into(), name: "f".into(), arguments: "{}".into() };
        let piece = Piece { tool_calls: vec![call], ..Piece::default() };
        let delta = &Identity::new(Kind::Chat, "m").piece(&piece, false)["choices"][0]["delta"];
        assert_eq!((&delta["content"], &delta["tool_calls"][0]["function"]["name"]), (&Value::Null, &json!("f")));
    }
}
