//! A loaded pair behind a running engine: [`replay_core::session::Session`] of this adapter.
mod answer;
mod call;
mod failure;
mod first_token;
mod messages;
mod request;
mod sampler;

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use mistralrs_core::{MistralRs, MistralRsBuilder, ModelCategory};
use replay_core::config::Config;
use replay_core::conformance::{Observed, Plan};
use replay_core::session::{
    Answer, Facts, Fault, Input, Listener, Part, Prompt, Request, Sampling, Session, SessionError, Settings, Statistics,
};

use crate::error::AttachError;
use crate::pairing::attached::Attached;
use crate::pairing::facts;
use crate::pairing::loaded_pair::LoadedPair;

use call::Call;
use first_token::FirstToken;

/// A model of a running engine, replayed or not.
pub struct MistralrsSession {
    engine: Arc<MistralRs>,
    /// The engine's name for the model; `None`: its default.
    model: Option<String>,
    category: ModelCategory,
    replay: Option<Attached>,
    base_bytes: OnceLock<u64>,
}

impl std::fmt::Debug for MistralrsSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MistralrsSession")
            .field("model", &self.model)
            .field("replay", &self.replay)
            .finish_non_exhaustive()
    }
}

impl MistralrsSession {
    /// Loads base and RLVR model as the configuration says, attaches replay and starts an engine.
    ///
    /// # Errors
    /// Everything that keeps the two models from being loaded or replayed.
    pub async fn open(config: &Config) -> Result<Self, AttachError> {
        let LoadedPair { pipeline, replay, scheduler } = LoadedPair::load(config)?;
        let category = pipeline.lock().await.category();
        let engine = MistralRsBuilder::new(pipeline, scheduler, false, None).build().await;
        Ok(Self { engine, model: None, category, replay, base_bytes: OnceLock::new() })
    }

    /// A session for a model of an engine that runs already.
    ///
    /// # Errors
    /// If the engine has no such model.
    pub fn from_engine(engine: Arc<MistralRs>, model: &str, replay: Option<Attached>) -> Result<Self, AttachError> {
        let category = engine.get_model_category(Some(model)).map_err(|e| AttachError::Pipeline(e.to_string()))?;
        Ok(Self { engine, model: Some(model.to_owned()), category, replay, base_bytes: OnceLock::new() })
    }

    /// Replay of the loaded pair; `None` if it is disabled.
    pub fn replay(&self) -> Option<&Attached> {
        self.replay.as_ref()
    }

    /// The running engine.
    pub fn engine(&self) -> &Arc<MistralRs> {
        &self.engine
    }

    /// The engine's name for the model; `None`: its default.
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// For the conformance kit: answers one prompt, with a plan in place of replay.
    ///
    /// # Errors
    /// If the request fails, the plan fails, or replay is disabled.
    pub async fn ask_planned(&self, prompt: Prompt, plan: Plan) -> Result<(Answer, Observed), SessionError> {
        let sampling = Sampling { max_tokens: Some(1), ..Sampling::default() };
        let request = Request { sampling, first_token: true, ..Request::new(prompt) };
        let mut observed = None;
        let answer = self
            .run(request, &mut |_| (), |channel| {
                observed = self.replay.as_ref().map(|replay| replay.run_plan(channel, plan.clone()));
                None
            })
            .await?;
        let observed = observed.and_then(|mut observed| observed.try_recv().ok()).ok_or(SessionError::Stopped)?;
        Ok((answer, observed.map_err(|e| SessionError::Engine(e.to_string()))?))
    }

    /// Refuses media that the model is known not to see.
    fn check_media(&self, input: &Input) -> Result<(), SessionError> {
        let Input::Chat(messages) = input else { return Ok(()) };
        let videos = messages.iter().flat_map(|message| &message.content).any(|part| matches!(part, Part::Video(_)));
        match &self.replay {
            Some(replay) if videos && !replay.sees_videos() => {
                Err(SessionError::input(Fault::Media, "this family sees no videos: give it frames as images"))
            }
            _ => Ok(()),
        }
    }

    /// Sends the request, by `direct` with what is asked of replay on each of its channels, and hears it to its end.
    async fn run(
        &self,
        request: Request,
        listen: &mut Listener<'_>,
        mut direct: impl FnMut(&call::Channel) -> Option<call::Reporting> + Send,
    ) -> Result<Answer, SessionError> {
        self.check_media(&request.input)?;
        // The engine loses the end of a stream with several choices, so each gets a request of its own.
        let streams = if request.stream { request.sampling.samples } else { 1 };
        let constrained = request.constraint.is_some();
        let first = Arc::new(FirstToken::new(request.first_token));
        let sender = self.engine.get_sender(self.model.as_deref()).map_err(|_| SessionError::Stopped)?;
        let mut call = Call::new(constrained);
        let parts = request::Parts::of(self, request, streams)?;
        for _ in 0..streams {
            let (channel, responses) = tokio::sync::mpsc::channel(call::CAPACITY);
            call.add(responses, direct(&channel));
            let request = parts.engine_request(self, channel, &first);
            sender.send(request).await.map_err(|_| SessionError::Stopped)?;
        }
        call.hear(listen, &first).await
    }
}

#[async_trait]
impl Session for MistralrsSession {
    async fn ask(&self, request: Request, listen: &mut Listener<'_>) -> Result<Answer, SessionError> {
        let (directive, settings) = (request.directive, request.settings.clone());
        let direct = |channel: &call::Channel| {
            let replay = self.replay.as_ref()?;
            let settings = settings.clone().unwrap_or_else(|| replay.settings());
            let (progress, passes) = tokio::sync::mpsc::unbounded_channel();
            let report = replay.direct_with(channel, directive, &settings, Some(progress));
            Some(call::Reporting { report, passes })
        };
        self.run(request, listen, direct).await
    }

    fn facts(&self) -> Facts {
        facts::collect_facts(self.replay.as_ref())
    }

    fn statistics(&self) -> Statistics {
        let Some(replay) = &self.replay else { return Statistics::default() };
        // Not known while the base is in use: then it is asked again.
        let base_bytes = self.base_bytes.get().copied().unwrap_or_else(|| {
            let bytes = replay.base_bytes();
            if bytes > 0 { *self.base_bytes.get_or_init(|| bytes) } else { 0 }
        });
        Statistics { cache_bytes: replay.cache().bytes(), prefix_bytes: replay.prefix_bytes(), base_bytes }
    }

    fn settings(&self) -> Option<Settings> {
        self.replay.as_ref().map(Attached::settings)
    }

    fn check_reload(&self, config: &Config) -> Result<(), SessionError> {
        match &self.replay {
            Some(replay) => Ok(replay.check_reload(config).map(|_| ())?),
            None => Ok(()),
        }
    }

    fn reload(&self, config: &Config) -> Result<(), SessionError> {
        match &self.replay {
            Some(replay) => Ok(replay.reload(config)?),
            None => Ok(()),
        }
    }
}
