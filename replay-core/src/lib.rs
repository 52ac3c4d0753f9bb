//! Activation Replay without an engine (arXiv 2511.19972).
//!
//! RLVR post-training disturbs the activations of a prompt, most where the base model is certain (low logit-lens entropy). Replay
//! captures the base model's activations, ranks them by entropy and brings the low-entropy ones back into the RLVR model.
//!
//! * [`config`]: the TOML file, its presets, its errors with line and column;
//! * [`ReplayBackend`]: what an engine implements for one prompt: capture, entropies, substitute;
//! * [`Replayer`]: runs the steps of a configuration over a backend and returns a [`Report`];
//! * [`rank`], [`lens`], [`substitute`], [`learned`]: the steps themselves, each usable alone;
//! * [`decoder`]: decoder layers with gradients, for adapters that can hand out weights;
//! * [`session`]: a loaded pair that answers prompts, whatever its engine;
//! * [`registry`]: adapters by name; [`conformance`]: the checks that every adapter runs.
//!
//! Words: `residual[j]` is the residual stream entering decoder layer `j`, of shape `[rows, hidden]`; a row is one prompt position
//! of one sequence; entropies and log-probabilities are in nats.
pub mod config;
pub mod conformance;
pub mod decoder;
mod engine;
mod error;
pub mod learned;
pub mod lens;
pub mod rank;
pub mod registry;
mod replay;
mod report;
mod role;
mod rows;
pub mod session;
mod simd;
mod storage;
pub mod substitute;
#[cfg(test)]
mod testing;
mod yielding;

pub use candle_core;
pub use config::Config;
pub use engine::{Activations, Exactness, ModelInfo, PairInfo, ReplayBackend};
pub use error::{Error, ErrorKind, Mismatch, Result};
pub use rank::EntropySpread;
pub use replay::{Decided, Decision, LayerObservation, Observation, ReplayCache, Replayed, Replayer, Trace, metrics};
#[cfg(feature = "tables")]
pub use report::tables;
pub use report::{BeforeAfter, GateReport, LayerReport, LearnedReport, Milliseconds, Precision, Report, Status};
pub use role::Role;
pub use rows::{Grid, Image, ImageContent, PromptMap, RowLabel, RowSet, Span, SpanRows, VisualLabel};
pub use yielding::yield_now;
