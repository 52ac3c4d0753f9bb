//! The trait that a hook implements.
use std::sync::Arc;

use candle_core::Result;

use super::{answer::Answered, call::PromptCall, tap::LayerTap};

/// Observes the prompts of one pipeline, and may edit their residual stream.
pub trait PromptHook: Send + Sync {
    /// Runs before the real prompt forward; the tap it returns sees that forward and may edit it.
    ///
    /// An error or a panic is logged and the prompt runs without a tap, since an error of the step would fail every request in it.
    /// To fail one request, call [`PromptCall::fail`].
    fn before_prompt(&self, call: &mut PromptCall<'_, '_, '_>) -> Result<Option<Arc<dyn LayerTap>>>;

    /// Runs when a sequence of this pipeline has its complete answer. It does not run for cancelled sequences.
    fn after_answer(&self, _: &mut Answered<'_>) {}

    /// Whether the passes of a step may share encoder outputs. Return `true` only if all models that the hook runs have encoders
    /// with equal weights, on the same device and in the same precision.
    fn shares_encoders(&self) -> bool {
        false
    }
}
