//! What a hook of a pipeline does.
use std::sync::Arc;

use candle_core::Result;

use super::{answer::Answered, call::PromptCall, tap::LayerTap};

pub trait PromptHook: Send + Sync {
    /// Runs before the real prompt forward; the tap it returns sees that forward and may edit it.
    ///
    /// An error or a panic is logged and the prompt runs untouched, since an error of the step would hit every request: to fail
    /// one request, use [`PromptCall::fail`].
    fn before_prompt(&self, call: &mut PromptCall<'_, '_, '_>) -> Result<Option<Arc<dyn LayerTap>>>;

    /// A sequence of this pipeline has its whole answer (those that are given up are not told of).
    fn after_answer(&self, _: &mut Answered<'_>) {}

    /// Every model that the hook runs on has the hooked model's own encoders, on the same device and in the same precision, so that
    /// what one has encoded the others may use.
    fn shares_encoders(&self) -> bool {
        false
    }
}
