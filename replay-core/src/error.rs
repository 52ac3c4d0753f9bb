//! Errors of replaying a prompt.
use crate::role::Role;

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
    /// A step needs a row of the prompt that was not captured, or whose entropy was not computed.
    #[error(
        "row {row} of the prompt was not captured from the {role} model; it is not one of the {captured} rows that were asked for"
    )]
    RowNotCaptured {
        /// Which model.
        role: Role,
        /// The row's position in the prompt.
        row: usize,
        /// How many rows were captured.
        captured: usize,
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
        /// The last residual that has a tap.
        last: usize,
    },
    /// A tap did not fire as often as the model has layers: the hook does not see this model.
    #[error("expected {expected} taps of the {role} model, saw {saw}")]
    Taps {
        /// Which model.
        role: Role,
        /// How many taps should fire: one per layer up to the last residual asked for.
        expected: usize,
        /// How many taps fired.
        saw: usize,
    },
    /// The client went away before the answer.
    #[error("the client went away")]
    Cancelled,
    /// Settings contradict each other, or do not fit the depth of the models.
    #[error("{0}")]
    Settings(Mismatch),
    /// This prompt cannot be replayed as configured.
    #[error("{0}")]
    Prompt(Mismatch),
    /// The loss of strategy `learned` is not finite even without a delta: one of the models overflows on this prompt.
    #[error(
        "the loss of strategy \"learned\": expected a finite number, got {loss} without a delta; load the models in f32 or bf16, or \
         choose earlier policy layers"
    )]
    NotFinite {
        /// The loss.
        loss: f64,
    },
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

/// What was expected, what was found, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: expected {expected}, got {got}; {advice}")]
pub struct Mismatch {
    /// The setting or property.
    pub what: String,
    /// What it should be.
    pub expected: String,
    /// What it is.
    pub got: String,
    /// What to do about it.
    pub advice: String,
}

impl Mismatch {
    /// A mismatch, with advice in the imperative.
    pub fn new(
        what: impl Into<String>,
        expected: impl ToString,
        got: impl ToString,
        advice: impl Into<String>,
    ) -> Self {
        Self { what: what.into(), expected: expected.to_string(), got: got.to_string(), advice: advice.into() }
    }
}

/// What has to change for the step to succeed. Exit codes and HTTP statuses are derived from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The configuration: it is wrong, or asks for something impossible.
    Configuration,
    /// The choice of models: they are not a pair that can be replayed.
    Pair,
    /// The request: it cannot be served as it is, or nobody waits for it.
    Input,
    /// Nothing that a user wrote: the engine, its adapter or the tensor library failed.
    Engine,
}

impl Error {
    /// Wraps an engine's own error, or a message.
    pub fn engine(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Engine(error.into())
    }

    /// An error for two sizes that should be equal.
    pub fn size(what: impl Into<String>, expected: impl ToString, got: impl ToString) -> Self {
        Self::Size { what: what.into(), expected: expected.to_string(), got: got.to_string() }
    }

    /// What has to change for the step to succeed.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoSuchLayer { .. } | Self::Settings(_) | Self::Unavailable(_) => ErrorKind::Configuration,
            Self::Prompt(_) | Self::Cancelled => ErrorKind::Input,
            Self::Size { .. }
            | Self::NotCaptured { .. }
            | Self::RowNotCaptured { .. }
            | Self::Taps { .. }
            | Self::NotFinite { .. }
            | Self::Engine(_)
            | Self::Tensor(_) => ErrorKind::Engine,
        }
    }
}
