//! A loaded pair that answers prompts.
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use either::Either;
use image::DynamicImage;
use indexmap::IndexMap;
use mistralrs_core::{
    MessageContent, MistralRs, MistralRsBuilder, ModelCategory, NormalRequest, Request, RequestMessage, Response,
    SamplingParams, Usage, VideoInput,
};
use replay_core::config::Config;
use replay_core::conformance::{Observed, Plan};
use replay_core::learned::Progress;
use replay_core::{Observation, Report, Trace};
use serde_json::json;
use tokio::sync::mpsc;

use crate::attached::Attached;
use crate::directive::Directive;
use crate::error::AttachError;
use crate::loaded_pair::LoadedPair;
use crate::seeded;

/// A loaded pair behind a running engine.
pub struct Session {
    engine: Arc<MistralRs>,
    category: ModelCategory,
    replay: Option<Attached>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("replay", &self.replay).finish_non_exhaustive()
    }
}

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct Prompt {
    /// System message.
    pub system: Option<String>,
    /// What was said before, oldest first.
    pub earlier: Vec<Turn>,
    /// Images, in front of the text.
    pub images: Vec<DynamicImage>,
    /// Videos, after the images. Only some families see them.
    pub videos: Vec<VideoInput>,
    /// The user's text.
    pub text: String,
}

/// A question that has been answered.
#[derive(Debug, Clone, Default)]
pub struct Turn {
    /// Images, in front of the text.
    pub images: Vec<DynamicImage>,
    /// The user's text.
    pub text: String,
    /// What the model said.
    pub answer: String,
}

/// How the answer is generated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Most tokens to generate.
    pub max_tokens: usize,
    /// `None` or 0: greedy.
    pub temperature: Option<f64>,
    /// Independent answers to the one prompt.
    pub samples: usize,
    /// With a temperature: the one answer that belongs to this seed, whatever else the engine is doing (its own sampler draws from one
    /// stream for all requests). Not together with several samples, which would be equal.
    pub seed: Option<u64>,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { max_tokens: 256, temperature: None, samples: 1, seed: None }
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// One text per sample.
    pub texts: Vec<String>,
    /// Why each sample ended.
    pub finish_reasons: Vec<String>,
    /// Natural log-probability of each token of each sample (with a seed, under the logits with their noise).
    pub log_probs: Vec<Vec<f32>>,
    /// Tokens of prompt and answers.
    pub usage: Usage,
    /// From sending the request to the logits of the first token.
    pub time_to_first_token_ms: f64,
    /// From sending the request to its last token.
    pub total_ms: f64,
    /// `[vocabulary]`, natural log-probabilities of the first token.
    pub first_token: Option<Tensor>,
    /// What replay did; `None` if it is disabled.
    pub replay: Option<Report>,
    /// With [`Directive::trace`].
    pub trace: Option<Trace>,
    /// With [`Directive::observe`].
    pub observation: Option<Observation>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The request cannot be answered as it is.
    #[error("{0}")]
    Input(String),
    /// The engine failed it.
    #[error("{0}")]
    Engine(String),
    /// The engine is gone.
    #[error("the engine has stopped")]
    Gone,
}

impl Session {
    /// Loads base and RLVR model as the configuration says, attaches replay and starts an engine.
    ///
    /// # Errors
    /// Everything that keeps the two models from being loaded or replayed.
    pub async fn open(config: &Config) -> Result<Self, AttachError> {
        let LoadedPair { pipeline, replay, scheduler } = LoadedPair::load(config)?;
        let category = pipeline.lock().await.category();
        let engine = MistralRsBuilder::new(pipeline, scheduler, false, None).build().await;
        Ok(Self { engine, category, replay })
    }

    /// Replay of the loaded pair; `None` if it is disabled.
    pub fn replay(&self) -> Option<&Attached> {
        self.replay.as_ref()
    }

    /// The running engine.
    pub fn engine(&self) -> &Arc<MistralRs> {
        &self.engine
    }

    /// Answers one prompt.
    ///
    /// # Errors
    /// If the request cannot be answered, or fails.
    pub async fn ask(&self, prompt: Prompt, sampling: Sampling, directive: Directive) -> Result<Answer, AskError> {
        self.ask_with_progress(prompt, sampling, directive, None).await
    }

    /// The same, for someone who also wants to hear of each pass of learning.
    ///
    /// # Errors
    /// If the request cannot be answered, or fails.
    pub async fn ask_with_progress(
        &self,
        prompt: Prompt,
        sampling: Sampling,
        directive: Directive,
        progress: Option<mpsc::UnboundedSender<Progress>>,
    ) -> Result<Answer, AskError> {
        let replay = self.replay.as_ref();
        if !prompt.videos.is_empty() && replay.is_some_and(|replay| !replay.sees_videos()) {
            return Err(AskError::Input("this family sees no videos: give it frames as images".into()));
        }
        let direct =
            |channel: &_| replay.map(|replay| replay.direct_with(channel, directive, &replay.settings(), progress));
        let (mut answer, report) = self.answer(prompt, sampling, direct).await?;
        if let Some(report) = report.and_then(|mut report| report.try_recv().ok()) {
            answer.replay = Some(report.report);
            answer.trace = report.trace;
            answer.observation = report.observation;
        }
        Ok(answer)
    }

    /// For the conformance kit: answers one prompt, with a plan in place of replay.
    ///
    /// # Errors
    /// If the request fails, the plan fails, or replay is disabled.
    pub async fn ask_planned(&self, prompt: Prompt, plan: Plan) -> Result<(Answer, Observed), AskError> {
        let first = Sampling { max_tokens: 1, ..Sampling::default() };
        let order = |channel: &_| self.replay.as_ref().map(|replay| replay.plan(channel, plan));
        let (answer, observed) = self.answer(prompt, first, order).await?;
        let observed = observed.and_then(|mut observed| observed.try_recv().ok()).ok_or(AskError::Gone)?;
        Ok((answer, observed.map_err(|e| AskError::Engine(e.to_string()))?))
    }

    async fn answer<T>(
        &self,
        prompt: Prompt,
        sampling: Sampling,
        order: impl FnOnce(&mpsc::Sender<Response>) -> T,
    ) -> Result<(Answer, T), AskError> {
        let (channel, mut responses) = mpsc::channel(16);
        let first = Arc::new(FirstToken::default());
        let ordered = order(&channel);
        let request = self.request(prompt, sampling, channel, &first);
        let started = Instant::now();
        let sender = self.engine.get_sender(None).map_err(|_| AskError::Gone)?;
        sender.send(request).await.map_err(|_| AskError::Gone)?;
        let done = match responses.recv().await.ok_or(AskError::Gone)? {
            Response::Done(done) => done,
            Response::ValidationError(e) => return Err(AskError::Input(e.to_string())),
            Response::InternalError(e) => return Err(AskError::Engine(e.to_string())),
            Response::ModelError(why, _) => return Err(AskError::Engine(why)),
            _ => return Err(AskError::Engine("an answer of another kind".into())),
        };
        let (at, logits) = first.take().unzip();
        let mut answer = Answer {
            texts: Vec::new(),
            finish_reasons: Vec::new(),
            log_probs: Vec::new(),
            usage: done.usage,
            time_to_first_token_ms: at.map_or(0.0, |at| at.duration_since(started).as_secs_f64() * 1e3),
            total_ms: started.elapsed().as_secs_f64() * 1e3,
            first_token: logits,
            replay: None,
            trace: None,
            observation: None,
        };
        let mut choices = done.choices;
        choices.sort_by_key(|choice| choice.index);
        for choice in choices {
            answer.texts.push(choice.message.content.unwrap_or_default());
            answer.finish_reasons.push(choice.finish_reason);
            let tokens = choice.logprobs.and_then(|l| l.content).unwrap_or_default();
            answer.log_probs.push(tokens.iter().map(|token| token.logprob).collect());
        }
        Ok((answer, ordered))
    }

    fn request(
        &self,
        prompt: Prompt,
        sampling: Sampling,
        channel: mpsc::Sender<Response>,
        first: &Arc<FirstToken>,
    ) -> Request {
        let mut messages = Vec::new();
        if let Some(system) = prompt.system {
            messages.push(message("system", Either::Left(system)));
        }
        let mut images = Vec::new();
        for turn in prompt.earlier {
            messages.push(message("user", self.content(turn.text, images.len(), turn.images.len(), 0)));
            messages.push(message("assistant", Either::Left(turn.answer)));
            images.extend(turn.images);
        }
        let videos = prompt.videos;
        messages.push(message("user", self.content(prompt.text, images.len(), prompt.images.len(), videos.len())));
        images.extend(prompt.images);
        let (enable_thinking, reasoning_effort) = (None, None);
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
        let mut params = SamplingParams::deterministic();
        params.max_len = Some(sampling.max_tokens);
        params.n_choices = sampling.samples;
        let drawn = sampling.temperature.filter(|temperature| *temperature > 0.0 && sampling.seed.is_none());
        if let Some(temperature) = drawn {
            params.temperature = Some(temperature);
            params.top_k = None;
        }
        let mut request =
            NormalRequest::new_simple(messages, params, channel, self.engine.next_request_id(), None, None);
        request.return_logprobs = true;
        let first = first.clone();
        let noise = sampling.temperature.filter(|temperature| *temperature > 0.0).zip(sampling.seed);
        let look = move |logits: &Tensor, context: &[u32]| {
            first.see(logits);
            match noise {
                Some((temperature, seed)) => seeded::perturbed(logits, temperature, seed, context.len()),
                None => Ok(logits.clone()),
            }
        };
        request.logits_processors = Some(vec![Arc::new(look)]);
        Request::Normal(Box::new(request))
    }

    /// Where the images and videos of a message stand: as tags in front of the text, numbered from `first`, or as parts for a chat
    /// template that knows them.
    fn content(&self, text: String, first: usize, images: usize, videos: usize) -> MessageContent {
        let ModelCategory::Multimodal { prefixer } = &self.category else { return Either::Left(text) };
        if images + videos == 0 {
            return Either::Left(text);
        }
        let tagged = prefixer.prefix_image((first..first + images).collect(), &text);
        let tagged = prefixer.prefix_video((0..videos).collect(), &tagged);
        if tagged != text {
            return Either::Left(tagged);
        }
        let part = |kind: &str| IndexMap::from([("type".to_string(), json!(kind))]);
        let mut parts = vec![part("image"); images];
        parts.extend(vec![part("video"); videos]);
        let mut last = part("text");
        last.insert("text".into(), json!(text));
        parts.push(last);
        Either::Right(parts)
    }
}

fn message(role: &str, content: MessageContent) -> IndexMap<String, MessageContent> {
    IndexMap::from([("role".to_string(), Either::Left(role.to_string())), ("content".to_string(), content)])
}

/// The first logits of a request, and when they came.
#[derive(Default)]
struct FirstToken(Mutex<Option<(Instant, Tensor)>>);

impl FirstToken {
    fn see(&self, logits: &Tensor) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.is_none() {
            *seen = Some((Instant::now(), logits.clone()));
        }
    }

    fn take(&self) -> Option<(Instant, Tensor)> {
        let (at, logits) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some((at, log_softmax(&logits).ok()?))
    }
}

fn log_softmax(logits: &Tensor) -> candle_core::Result<Tensor> {
    let logits = logits.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
    let max = logits.max(0)?;
    let shifted = logits.broadcast_sub(&max)?;
    shifted.broadcast_sub(&shifted.exp()?.sum_all()?.log()?)?.to_dtype(DType::F32)
}
