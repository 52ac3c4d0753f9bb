//! The traits that an adapter implements to run the checks.
use async_trait::async_trait;

use super::plan::{Observed, Plan};
use crate::Result;

/// An engine under test, with at least two prompts: the first two of equal length, each with an image, and of different content.
#[async_trait(?Send)]
pub trait Subject {
    /// Prefills these prompts in one batch. Before the real prefill of each, runs its plan with the backend of that prompt.
    ///
    /// # Errors
    /// If the engine or a plan fails.
    async fn prefill(&mut self, batch: Vec<(usize, Plan)>) -> Result<Vec<Prefill>>;

    /// How many decoder layers the models have; their taps see `residual[0]` to `residual[layers]`.
    fn decoder_layers(&self) -> usize;

    /// Whether images have rows of their own in a prompt; in a model with cross-attention to images they have none.
    fn has_visual_rows(&self) -> bool {
        true
    }

    /// How many layers compute keys and values of their own. Later layers reuse those of earlier ones, so that of their residuals only
    /// the last row affects the first token.
    fn reading_layers(&self) -> usize {
        self.decoder_layers()
    }

    /// How much the log-probabilities of a batch may differ from those of a solo run (matrix kernels sum in another order).
    fn batch_tolerance(&self) -> f32 {
        1e-4
    }
}

/// The answer to one prompt.
#[derive(Debug, Clone)]
pub struct Prefill {
    /// Natural log-probabilities of the first generated token, one per vocabulary entry.
    pub log_probs: Vec<f32>,
    /// What the plan observed.
    pub observed: Observed,
}

/// Makes fresh subjects.
#[async_trait(?Send)]
pub trait Maker {
    /// Makes a subject with two different models, or, with `equal_models`, with the RLVR model as its own base.
    ///
    /// # Errors
    /// If the engine does not start.
    async fn make(&mut self, equal_models: bool) -> Result<Box<dyn Subject>>;
}
