//! The [`replay_core::session::Session`] of this adapter: a model of a running engine that answers requests.
mod answer;
mod engine_call;
mod first_token;
mod logits_processors;
mod messages;
mod request;
mod session_error;

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

use engine_call::{Channel, EngineCall, ReplayReceivers};
use first_token::FirstToken;
use messages::Dialect;
use request::ConvertedRequest;

/// A model of a running engine, with or without replay.
pub struct MistralrsSession {
    engine: Arc<MistralRs>,
    /// The engine's name of the model.
    model: String,
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
    /// Loads base and RLVR model of a configuration, attaches replay and starts an engine.
    ///
    /// # Errors
    /// If a model cannot be loaded, the models are not a pair, or a self-test fails.
    pub async fn open(config: &Config) -> Result<Self, AttachError> {
        let LoadedPair { pipeline, replay, scheduler } = LoadedPair::load(config)?;
        let category = pipeline.lock().await.category();
        // The engine's own name would be the model's directory, and its routes tell it to clients.
        let name = std::path::Path::new(&config.pair.rlvr).file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_else(|| config.pair.rlvr.clone());
        let engine = MistralRsBuilder::new(pipeline, scheduler, false, None).with_model_id(&name).build().await;
        Ok(Self { engine, model: name, category, replay, base_bytes: OnceLock::new() })
    }

    /// Creates a session for a model of a running engine.
    ///
    /// # Errors
    /// If the engine has no such model.
    pub fn from_engine(engine: Arc<MistralRs>, model: &str, replay: Option<Attached>) -> Result<Self, AttachError> {
        let category = engine.get_model_category(Some(model)).map_err(|e| AttachError::Pipeline(e.to_string()))?;
        Ok(Self { engine, model: model.to_owned(), category, replay, base_bytes: OnceLock::new() })
    }

    /// The replay of the model; `None` if it is disabled.
    pub fn replay(&self) -> Option<&Attached> {
        self.replay.as_ref()
    }

    /// The running engine.
    pub fn engine(&self) -> &Arc<MistralRs> {
        &self.engine
    }

    /// The engine's name of the model.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Answers one prompt with a plan of the conformance kit in place of replay.
    ///
    /// # Errors
    /// If the request fails, the plan fails, or replay is disabled.
    pub async fn ask_with_plan(&self, prompt: Prompt, plan: Plan) -> Result<(Answer, Observed), SessionError> {
        let sampling = Sampling { max_tokens: Some(1), ..Sampling::default() };
        let request = Request { sampling, first_token: true, ..Request::new(prompt) };
        let mut observed = None;
        let answer = self
            .run_request(request, &mut |_| (), |channel| {
                observed = self.replay.as_ref().map(|replay| replay.run_plan(channel, plan.clone()));
                None
            })
            .await?;
        let observed = observed.and_then(|mut observed| observed.try_recv().ok()).ok_or(SessionError::Stopped)?;
        Ok((answer, observed.map_err(|e| SessionError::Engine(e.to_string()))?))
    }

    /// Refuses images that the family's processor does not take, and videos if the engine passes none to this family.
    fn check_media(&self, input: &Input) -> Result<(), SessionError> {
        let Input::Chat(messages) = input else { return Ok(()) };
        let parts = || messages.iter().flat_map(|message| &message.content);
        let videos = parts().any(|part| matches!(part, Part::Video(_)));
        if let Some(replay) = &self.replay {
            let pictures =
                parts().filter_map(|part| if let Part::Image(picture) = part { Some(picture) } else { None });
            for picture in pictures {
                let fits = replay.check_sides(picture.width(), picture.height());
                fits.map_err(|why| SessionError::input(Fault::Media, why))?;
            }
        }
        match &self.replay {
            Some(replay) if videos && !replay.sees_videos() => Err(SessionError::input(
                Fault::Media,
                "the engine does not support videos for this family: send frames as images",
            )),
            _ => Ok(()),
        }
    }

    /// Sends the request and receives until it ends. `direct` sets the task of replay for each channel of the request.
    async fn run_request(
        &self,
        mut request: Request,
        listen: &mut Listener<'_>,
        mut direct: impl FnMut(&Channel) -> Option<ReplayReceivers> + Send,
    ) -> Result<Answer, SessionError> {
        self.check_media(&request.input)?;
        // Samples with a seed have a seed of their own each, so each is an engine request too, which answers in pieces.
        request.stream |= request.sampling.seed.is_some() && request.sampling.samples > 1;
        // The engine loses the end of a stream with several choices, so each choice gets an engine request.
        let streams = if request.stream { request.sampling.samples } else { 1 };
        let constrained = request.constraint.is_some();
        let first = Arc::new(FirstToken::new(request.first_token));
        let sender = self.engine.get_sender(Some(&self.model)).map_err(|_| SessionError::Stopped)?;
        let mut call = EngineCall::new(constrained);
        let dialect = Dialect::new(&self.category);
        let converted = ConvertedRequest::new(&dialect, request, streams)?;
        let _sweep = self.replay.as_ref().map(Attached::sweep_later);
        for sample in 0..streams {
            let (channel, responses) = tokio::sync::mpsc::channel(engine_call::CAPACITY);
            call.add_stream(responses, direct(&channel));
            let request = converted.engine_request(sample, &self.engine, &self.model, channel, &first);
            sender.send(request).await.map_err(|_| SessionError::Stopped)?;
        }
        call.receive_answer(listen, &first).await
    }
}

#[async_trait]
impl Session for MistralrsSession {
    async fn ask(&self, request: Request, listen: &mut Listener<'_>) -> Result<Answer, SessionError> {
        let (directive, settings) = (request.directive, request.settings.clone());
        let direct = |channel: &Channel| {
            let replay = self.replay.as_ref()?;
            let settings = settings.clone().unwrap_or_else(|| replay.settings());
            let (progress_sender, progress) = tokio::sync::mpsc::unbounded_channel();
            let report = replay.direct_with(channel, directive, &settings, Some(progress_sender));
            Some(ReplayReceivers { report, progress })
        };
        self.run_request(request, listen, direct).await
    }

    fn facts(&self) -> Facts {
        facts::collect_facts(self.replay.as_ref())
    }

    fn statistics(&self) -> Statistics {
        let Some(replay) = &self.replay else { return Statistics::default() };
        // The size cannot be read while the base is in use; then it is read again at the next call.
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
