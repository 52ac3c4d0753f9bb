//! Step 3: a loaded pair that answers requests: what every command of the `replay` program, its pages and its server work on.
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use async_trait::async_trait;
use replay_core::config::Config;
use replay_core::session::{
    Alternative, Answer, Choice, Event, Facts, Listener, Note, Piece, Request, RequestReport, Session, SessionError,
    Settings, Statistics, TokenLogProb, Usage, perturb,
};
use replay_core::{Decided, Decision, ReplayCache};
use tokio::sync::mpsc::UnboundedSender;

use crate::engine::{LAYERS, Prompt};
use crate::pair::Toy;
use crate::text;

#[derive(Debug)]
pub(crate) struct ToySession(Arc<Loaded>);

struct Loaded {
    pair: Toy,
    /// `None` if replay is disabled.
    settings: RwLock<Option<Settings>>,
    cache: ReplayCache,
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loaded").field("pair", &self.pair.pair).finish_non_exhaustive()
    }
}

impl ToySession {
    pub(crate) fn open(config: &Config, seed: u64) -> Result<Self, SessionError> {
        // The base alone is a pair of twins.
        let moved = if config.pair.rlvr == config.pair.base { 0.0 } else { 0.3 };
        let pair = Toy::new(seed, moved).map_err(|e| SessionError::Engine(e.to_string()))?;
        let settings = if config.replay.enabled { Some(settings(config)?) } else { None };
        let cache = ReplayCache::new(config.replay.cache.max_bytes);
        Ok(Self(Arc::new(Loaded { pair, settings: RwLock::new(settings), cache })))
    }
}

fn settings(config: &Config) -> Result<Settings, SessionError> {
    Settings::new(config, LAYERS).map_err(|e| SessionError::Setup(e.to_string()))
}

#[async_trait]
impl Session for ToySession {
    async fn ask(&self, request: Request, listen: &mut Listener<'_>) -> Result<Answer, SessionError> {
        if request.constraint.is_some() {
            return Err(SessionError::unsupported("response_format"));
        }
        if request.tools.is_some() {
            return Err(SessionError::unsupported("tools"));
        }
        let prompt = text::read(&request.input)?;
        // The engine's work is done on a thread of its own; when the request is dropped nobody hears it, and it ends.
        let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
        let loaded = self.0.clone();
        let answer = tokio::task::spawn_blocking(move || loaded.answer(&request, &prompt, &sender));
        while let Some(event) = events.recv().await {
            listen(event);
        }
        answer.await.map_err(|e| SessionError::Engine(e.to_string()))?
    }

    fn facts(&self) -> Facts {
        let on = self.settings().is_some();
        let notes = vec![Note::new("weights", "made from a seed")];
        Facts { pair: on.then(|| self.0.pair.pair.clone()), notes, sees_videos: false }
    }

    fn statistics(&self) -> Statistics {
        Statistics { cache_bytes: self.0.cache.bytes(), ..Statistics::default() }
    }

    fn settings(&self) -> Option<Settings> {
        self.0.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn check_reload(&self, config: &Config) -> Result<(), SessionError> {
        settings(config).map(|_| ())
    }

    fn reload(&self, config: &Config) -> Result<(), SessionError> {
        *self.0.settings.write().unwrap_or_else(PoisonError::into_inner) = Some(settings(config)?);
        Ok(())
    }
}

impl Loaded {
    fn answer(
        &self,
        request: &Request,
        prompt: &Prompt,
        events: &UnboundedSender<Event>,
    ) -> Result<Answer, SessionError> {
        let engine = |e: replay_core::Error| SessionError::Engine(e.to_string());
        let started = Instant::now();
        let mut answer = Answer::default();
        // Before the prefill: what replay makes of the prompt.
        let mut edits = None;
        if let Some(decided) = self.decide(request, prompt).map_err(engine)? {
            let RequestReport { report, trace, observation } = decided.request_report;
            let _ = events.send(Event::Report(Box::new(report.clone())));
            (answer.replay, answer.trace, answer.observation) = (Some(report), trace, observation);
            match decided.decision {
                Decision::Edit(decided) => edits = Some(decided),
                Decision::Leave => {}
                Decision::Fail(why) => return Err(SessionError::Replay(why)),
            }
        }
        let most = request.sampling.max_tokens.unwrap_or(16).min(64);
        for sample in 0..request.sampling.samples {
            let (mut generated, mut choice) = (Vec::new(), Choice::default());
            while generated.len() < most {
                let logits = self.pair.logits(prompt, &generated, edits.as_deref()).map_err(engine)?;
                if generated.is_empty() && sample == 0 {
                    answer.time_to_first_token_ms = started.elapsed().as_secs_f64() * 1e3;
                    if request.first_token {
                        answer.first_token = log_softmax(&logits);
                    }
                }
                let (token, piece) = next(request, sample, prompt.tokens.len() + generated.len(), &logits);
                generated.push(token);
                choice.text.push_str(&piece.text);
                choice.tokens.extend(piece.token.clone());
                let finish_reason = (generated.len() == most).then(|| "length".to_owned());
                let gone = request.stream && events.send(Event::Piece(Piece { finish_reason, ..piece })).is_err();
                if gone || events.is_closed() {
                    return Err(SessionError::Stopped);
                }
            }
            choice.finish_reason = "length".into();
            answer.choices.push(choice);
        }
        answer.total_ms = started.elapsed().as_secs_f64() * 1e3;
        let first = answer.time_to_first_token_ms;
        let seconds = |milliseconds: f64| (milliseconds / 1e3) as f32;
        let generated = most * request.sampling.samples;
        answer.usage = Usage::new(prompt.tokens.len(), generated, seconds(first), seconds(answer.total_ms - first));
        Ok(answer)
    }

    /// `None` if replay is disabled.
    fn decide(&self, request: &Request, prompt: &Prompt) -> replay_core::Result<Option<Decided>> {
        let now = self.settings.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(settings) = request.settings.clone().or(now) else { return Ok(None) };
        let mut backend = self.pair.prompt(0, prompt)?;
        let decided = settings.of(request.directive.profile).decide(&mut backend, request.directive, &self.cache);
        Ok(Some(pollster::block_on(decided)))
    }
}

/// The next token of a sample, and the piece that says it.
fn next(request: &Request, sample: usize, position: usize, logits: &[f32]) -> (u32, Piece) {
    let sampling = &request.sampling;
    let drawn = sampling.positive_temperature().map(|temperature| {
        // Without a seed every sample draws its own.
        let seed = sampling.seed.unwrap_or(sample as u64);
        perturb(logits, temperature, seed, position)
    });
    let chosen = drawn.as_deref().unwrap_or(logits);
    let token = chosen.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(token, _)| token);
    let said = sampling.log_probs.map(|alternatives| {
        let log_probs = log_softmax(logits);
        let mut likeliest: Vec<usize> = (0..log_probs.len()).collect();
        likeliest.sort_by(|&a, &b| log_probs[b].total_cmp(&log_probs[a]));
        let likeliest = likeliest.into_iter().take(alternatives);
        let alternative =
            |token: usize| Alternative { id: token as u32, text: text::text(token as u32), log_prob: log_probs[token] };
        TokenLogProb {
            text: text::text(token as u32),
            log_prob: log_probs[token],
            alternatives: likeliest.map(alternative).collect(),
        }
    });
    (token as u32, Piece { choice: sample, text: text::text(token as u32), token: said, ..Piece::default() })
}

fn log_softmax(logits: &[f32]) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from(logit - largest).exp()).sum();
    logits.iter().map(|logit| (f64::from(logit - largest) - sum.ln()) as f32).collect()
}
