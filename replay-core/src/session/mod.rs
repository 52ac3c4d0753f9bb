//! The interface of a loaded pair that answers prompts, independent of its engine.
//!
//! * [`Session`]: implemented by an adapter; every command, page and route of the `replay` program uses it;
//! * [`Request`]: messages with pictures, sampling and replay options; [`Answer`]: the answer to it;
//! * [`Event`]: progress, report and pieces of text while a request runs;
//! * [`Facts`] and [`Statistics`]: shown by `check`, `bench` and the metrics;
//! * [`SessionError`]: errors, with a kind from which exit codes and HTTP statuses are derived.
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
pub use seeded::{perturb, truncated};

/// A loaded pair that answers prompts.
#[async_trait]
pub trait Session: Any + Debug + Send + Sync {
    /// Answers one request, and calls `listen` with its events. Dropping the future cancels the request: the engine stops at the next step
    /// that it can interrupt.
    ///
    /// # Errors
    /// If the request cannot be answered, or fails. Other requests continue.
    async fn ask(&self, request: Request, listen: &mut Listener<'_>) -> Result<Answer, SessionError>;

    /// Facts about the loaded pair.
    fn facts(&self) -> Facts;

    /// The memory that the session holds at this moment.
    fn statistics(&self) -> Statistics;

    /// The settings for new requests; `None` if replay is disabled.
    fn settings(&self) -> Option<Settings>;

    /// Checks whether [`reload`](Self::reload) would succeed with this configuration.
    ///
    /// # Errors
    /// As [`reload`](Self::reload).
    fn check_reload(&self, config: &Config) -> Result<(), SessionError>;

    /// Replaces the settings by those of another configuration of the same pair. Running requests keep their settings.
    ///
    /// # Errors
    /// [`SessionError::NeedsRestart`] if the configuration needs another pair, or layers or weights that were not loaded; the settings are
    /// then unchanged.
    fn reload(&self, config: &Config) -> Result<(), SessionError>;

    /// Answers a prompt, with the log-probabilities of the first token and without events.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    async fn answer(&self, prompt: Prompt, sampling: Sampling, directive: Directive) -> Result<Answer, SessionError> {
        let request = Request { sampling, directive, first_token: true, ..Request::new(prompt) };
        self.ask(request, &mut |_| ()).await
    }
}
