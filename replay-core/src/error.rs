//! What can go wrong while a prompt is replayed.
use crate::Role;

/// The result of a step.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of a step, with what was expected and what was seen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A tensor or list has another size than the prompt, the layer or the model asks for.
    #[error("{what}: expected {expected}, got {got}")]
    Size {
        /// The thing that has the wrong size.
        what: String,
        /// The size it should have.
        expected: String,
        /// The size it has.
        got: String,
    },
    /// A step needs a residual that was not captured.
    #[error("residual[{layer}] of the {role} model was not captured")]
    NotCaptured {
        /// Which model.
        role: Role,
        /// The decoder layer whose input is missing.
        layer: usize,
    },
    /// The policy names a decoder layer that the model does not have.
    #[error("policy layer {layer} asks for residual[{needed}], but the {role} model's taps end at residual[{last}]")]
    NoSuchLayer {
        /// Which model.
        role: Role,
        /// The policy layer.
        layer: usize,
        /// The residual it needs.
        needed: usize,
        /// The last residual that can be had.
        last: usize,
    },
    /// A tap did not fire as often as the model has layers: the hook does not see this model.
    #[error("expected {expected} taps of the {role} model, saw {saw}")]
    Taps {
        /// Which model.
        role: Role,
        /// One per layer up to the last one asked for.
        expected: usize,
        /// How many fired.
        saw: usize,
    },
    /// Nobody waits for the answer any more.
    #[error("the client went away")]
    Cancelled,
    /// The configuration asks for something that this adapter or model does not offer.
    #[error("{0}")]
    Unavailable(String),
    /// The engine failed.
    #[error(transparent)]
    Engine(Box<dyn std::error::Error + Send + Sync>),
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

impl Error {
    /// Wraps an engine's own error, or a message.
    pub fn engine(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Engine(error.into())
    }

    /// Two sizes that should be equal.
    pub fn size(what: impl Into<String>, expected: impl ToString, got: impl ToString) -> Self {
        Self::Size { what: what.into(), expected: expected.to_string(), got: got.to_string() }
    }
}
