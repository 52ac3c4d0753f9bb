//! A loaded pair that answers prompts, without a word of the engine it runs in.
//!
//! * [`Session`]: what an adapter gives for a configuration; every command, page and route of the `replay` program works on it;
//! * [`Request`]: messages with pictures in them, how the answer is generated, what is asked of replay;
//! * [`Event`]: what is heard while the request runs; [`Answer`]: what it ends with;
//! * [`Facts`] and [`Statistics`]: what `check`, `bench` and the metrics show;
//! * [`SessionError`]: why there is no answer, with a kind from which exit codes and HTTP statuses follow.
mod answer;
mod error;
mod event;
mod facts;
mod media;
mod prompt;
mod request;
mod sampling;
mod seeded;

use std::any::Any;
use std::fmt::Debug;

use async_trait::async_trait;

use crate::config::Config;

pub use crate::replay::{Directive, Mode, Profile, RequestReport, Settings};
pub use answer::{Alternative, Answer, Choice, TokenLogProb, Usage};
pub use error::{Fault, SessionError};
pub use event::{Event, Listener, Piece};
pub use facts::{Facts, Note, Statistics};
pub use media::{Clip, Picture, PictureError};
pub use prompt::{Prompt, Turn};
pub use request::{Constraint, Input, Message, Part, Request, Text, Thinking, ToolCall, Tools};
pub use sampling::{Dry, Sampling};
pub use seeded::perturb;

/// A loaded pair that answers prompts.
#[async_trait]
pub trait Session: Any + Debug + Send + Sync {
    /// Answers one request; `listen` hears what happens on the way. To drop the future is to cancel the request: an engine stops at the
    /// next step that can be stopped.
    ///
    /// # Errors
    /// If the request cannot be answered, or fails. Other requests go on.
    async fn ask(&self, request: Request, listen: &mut Listener<'_>) -> Result<Answer, SessionError>;

    /// What is known of the loaded pair.
    fn facts(&self) -> Facts;

    /// What is held and was counted, at this moment.
    fn statistics(&self) -> Statistics;

    /// The settings that new requests are replayed by; `None` if replay is disabled.
    fn settings(&self) -> Option<Settings>;

    /// Whether [`reload`](Self::reload) would take this configuration.
    ///
    /// # Errors
    /// As there.
    fn check_reload(&self, config: &Config) -> Result<(), SessionError>;

    /// Exchanges the settings for those of another configuration of the same pair. Requests that have been made already keep theirs.
    ///
    /// # Errors
    /// [`SessionError::NeedsRestart`] if the configuration needs what was not loaded; then nothing changes.
    fn reload(&self, config: &Config) -> Result<(), SessionError>;

    /// Answers a question about pictures, with the log-probabilities of the first token; hears nothing on the way.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    async fn answer(&self, prompt: Prompt, sampling: Sampling, directive: Directive) -> Result<Answer, SessionError> {
        let request = Request { sampling, directive, first_token: true, ..Request::new(prompt) };
        self.ask(request, &mut |_| ()).await
    }
}
