//! Converts a request for the engine.
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use mistralrs_core::{
    Constraint as EngineConstraint, DrySamplingParams, MistralRs, NormalRequest, ReasoningEffort,
    Request as EngineRequest, RequestMessage, SamplingParams, StopTokens, Tool, ToolChoice,
};
use replay_core::session::{
    Constraint, Fault, Input, Request, Sampling, SessionError, Text, Thinking, perturb, truncated,
};

use super::engine_call::Channel;
use super::first_token::FirstToken;
use super::logits_processors::add_logits_processors;
use super::messages::{Dialect, EngineMessages};

/// A converted request, from which one or more engine requests are made.
pub(super) struct ConvertedRequest {
    messages: RequestMessage,
    suffix: Option<String>,
    params: SamplingParams,
    /// Sampling and seed of the noise that turns greedy decoding into seeded sampling.
    noise: Option<(Sampling, u64)>,
    returns_log_probs: bool,
    is_streaming: bool,
    constraint: EngineConstraint,
    tools: Option<Vec<Tool>>,
    tool_choice: Option<ToolChoice>,
    truncate: bool,
}

impl ConvertedRequest {
    /// Converts a request of which `streams` engine requests will be made.
    ///
    /// # Errors
    /// If the request asks for something that the engine does not support.
    pub(super) fn new(dialect: &Dialect<'_>, request: Request, streams: usize) -> Result<Self, SessionError> {
        let params = params(&request, if streams > 1 { 1 } else { request.sampling.samples })?;
        let (messages, suffix) = messages(request.input, &request.thinking, dialect)?;
        let (tools, tool_choice) = match request.tools {
            None => (None, None),
            Some(tools) => {
                let definitions = tools.definitions.into_iter().map(serde_json::from_value).collect::<Result<_, _>>();
                let choice = tools.choice.map(serde_json::from_value).transpose();
                (
                    Some(definitions.map_err(|e| unsupported_field("tools", &e))?),
                    choice.map_err(|e| unsupported_field("tool_choice", &e))?,
                )
            }
        };
        Ok(Self {
            messages,
            suffix,
            noise: request
                .sampling
                .positive_temperature()
                .and_then(|_| Some((request.sampling, request.sampling.seed?))),
            returns_log_probs: request.sampling.log_probs.is_some(),
            is_streaming: request.stream,
            params,
            constraint: constraint(request.constraint)?,
            tools,
            tool_choice,
            truncate: request.truncate,
        })
    }

    /// Makes the engine request of sample number `sample`, which answers on `channel` and records its first token in `first`.
    pub(super) fn engine_request(
        &self,
        sample: usize,
        engine: &MistralRs,
        model: &str,
        channel: Channel,
        first: &Arc<FirstToken>,
    ) -> EngineRequest {
        let id = engine.next_request_id();
        let mut request =
            NormalRequest::new_simple(self.messages.clone(), self.params.clone(), channel, id, None, None);
        request.return_logprobs = self.returns_log_probs;
        request.is_streaming = self.is_streaming;
        request.constraint = self.constraint.clone();
        request.suffix.clone_from(&self.suffix);
        request.tools.clone_from(&self.tools);
        request.tool_choice.clone_from(&self.tool_choice);
        request.truncate_sequence = self.truncate;
        request.model_id = Some(model.to_owned());
        let (first, noise) =
            (first.clone(), self.noise.map(|(sampling, seed)| (sampling, seed.wrapping_add(sample as u64))));
        let processor = move |logits: &Tensor, context: &[u32]| {
            first.record(logits);
            match noise {
                Some((sampling, seed)) => add_noise(logits, &sampling, seed, context.len()),
                None => Ok(logits.clone()),
            }
        };
        request.logits_processors = Some(vec![Arc::new(processor)]);
        add_logits_processors(&mut request);
        EngineRequest::Normal(Box::new(request))
    }
}

/// Adds the seeded noise of one position to the logits.
fn add_noise(logits: &Tensor, sampling: &Sampling, seed: u64, position: usize) -> candle_core::Result<Tensor> {
    let values = logits.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.to_vec1::<f32>()?;
    let temperature = sampling.positive_temperature().unwrap_or(1.0);
    let values = perturb(&truncated(&values, sampling), temperature, seed, position);
    Tensor::new(values, &Device::Cpu)?.to_dtype(logits.dtype())?.to_device(logits.device())
}

fn params(request: &Request, choices: usize) -> Result<SamplingParams, SessionError> {
    let sampling = &request.sampling;
    let dry = request.dry.as_ref().map(|dry| {
        DrySamplingParams::new_with_defaults(
            dry.multiplier,
            dry.sequence_breakers.clone(),
            dry.base,
            dry.allowed_length,
        )
    });
    let dry_params =
        dry.transpose().map_err(|e| SessionError::input(Fault::Prompt, format!("dry_multiplier: {e:#}")))?;
    let seeded = sampling.seed.is_some();
    // With a seed, the noise takes part only among the tokens that these limits keep.
    let unseeded = |limit: Option<f64>| limit.filter(|_| !seeded);
    Ok(SamplingParams {
        // Zero means greedy decoding. With a seed, the noise already contains the temperature.
        temperature: Some(sampling.positive_temperature().filter(|_| !seeded).unwrap_or(0.0)),
        top_k: sampling.top_k.filter(|_| !seeded),
        top_p: unseeded(sampling.top_p),
        min_p: unseeded(sampling.min_p),
        top_n_logprobs: sampling.log_probs.unwrap_or(0),
        frequency_penalty: sampling.frequency_penalty,
        presence_penalty: sampling.presence_penalty,
        repetition_penalty: sampling.repetition_penalty,
        stop_toks: (!request.stop.is_empty()).then(|| StopTokens::Seqs(request.stop.clone())),
        max_len: sampling.max_tokens,
        logits_bias: (!request.logit_bias.is_empty())
            .then(|| request.logit_bias.iter().map(|(&token, &bias)| (token, bias)).collect()),
        n_choices: choices,
        dry_params,
    })
}

fn messages(
    input: Input,
    thinking: &Thinking,
    dialect: &Dialect<'_>,
) -> Result<(RequestMessage, Option<String>), SessionError> {
    let messages = match input {
        Input::Text(Text { text, suffix, echo, best_of }) => {
            return Ok((RequestMessage::Completion { text, echo_prompt: echo, best_of }, suffix));
        }
        Input::Chat(messages) => messages,
    };
    let enable_thinking = thinking.enabled;
    let reasoning_effort = thinking.effort.as_deref().and_then(|effort| match effort {
        "low" => Some(ReasoningEffort::Low),
        "medium" => Some(ReasoningEffort::Medium),
        "high" => Some(ReasoningEffort::High),
        _ => None,
    });
    let EngineMessages { messages, images, videos } = EngineMessages::from_chat(messages, dialect)?;
    let messages = match images.is_empty() && videos.is_empty() {
        true => RequestMessage::Chat { messages, enable_thinking, reasoning_effort },
        false => RequestMessage::MultimodalChat {
            images,
            audios: Vec::new(),
            videos,
            messages,
            enable_thinking,
            reasoning_effort,
        },
    };
    Ok((messages, None))
}

fn constraint(constraint: Option<Constraint>) -> Result<EngineConstraint, SessionError> {
    Ok(match constraint {
        None => EngineConstraint::None,
        Some(Constraint::JsonSchema(schema)) => EngineConstraint::JsonSchema(schema),
        Some(Constraint::Regex(regex)) => EngineConstraint::Regex(regex),
        Some(Constraint::Lark(grammar)) => EngineConstraint::Lark(grammar),
        Some(Constraint::Llguidance(grammar)) => {
            let read = serde_json::from_value(grammar);
            EngineConstraint::Llguidance(read.map_err(|e| SessionError::input(Fault::Grammar, e.to_string()))?)
        }
    })
}

fn unsupported_field(field: &'static str, error: &serde_json::Error) -> SessionError {
    SessionError::input(Fault::Unsupported(field), format!("the engine cannot use `{field}`: {error}"))
}
