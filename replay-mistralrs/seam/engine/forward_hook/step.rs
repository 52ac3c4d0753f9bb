//! Entry points for the engine's steps: before a prompt, around the forward, and after an answer.
use std::{
    any::Any,
    panic::{catch_unwind, AssertUnwindSafe},
    sync::Arc,
};

use candle_core::Result;

use super::{
    answer::Answered,
    attach::hook_of,
    call::PromptCall,
    encodings, pages,
    pass::{run_pass, InputContext},
    prefix::{self, KnownPrefix},
    tap::{with_tap, LayerTap},
};
use crate::{
    pipeline::{CacheBackendMetadata, ForwardInputsResult, Pipeline},
    sequence::Sequence,
};

/// What the hook set up for the real forward of a step.
#[derive(Default)]
pub(crate) struct Prepared {
    tap: Option<Arc<dyn LayerTap>>,
    prefix: Option<KnownPrefix>,
}

/// Runs the real forward of a step, under the hook's tap and after its known prefix.
pub(crate) fn forward<P: Pipeline + ?Sized>(
    pipeline: &mut P,
    prepared: &Prepared,
    inputs: Box<dyn Any>,
    return_raw_logits: bool,
) -> Result<ForwardInputsResult> {
    let out = with_tap(prepared.tap.clone(), || {
        prefix::forward_after(pipeline, prepared.prefix.as_ref(), |pipeline| {
            crate::engine_fixes::forward(pipeline, inputs, return_raw_logits)
        })
    })?;
    if let Some(tap) = &prepared.tap {
        if catch_unwind(AssertUnwindSafe(|| tap.finished())).is_err() {
            tracing::warn!("forward hook panicked after a prompt");
        }
    }
    Ok(out)
}

/// Calls the pipeline's hook, if it has one, before its prompts run.
pub(crate) fn prepare<P: Pipeline + ?Sized>(
    pipeline: &mut P,
    sequences: &mut [&mut Sequence],
    is_prompt: bool,
    backend: &CacheBackendMetadata,
) -> Prepared {
    pages::begin_step(backend);
    // A step that failed before its forward has left its encoder outputs here.
    encodings::end();
    if !is_prompt {
        return Prepared::default();
    }
    let Some(hook) = hook_of(&pipeline.get_metadata()) else { return Prepared::default() };
    // After a prefix hit the default scheduler holds only the rest of the prompt, without its images: no side pass can run it.
    if sequences.iter().any(|s| s.token_offset() != 0) {
        return Prepared::default();
    }
    encodings::begin(catch_unwind(AssertUnwindSafe(|| hook.shares_encoders())).unwrap_or(false));
    let context = InputContext::of(pipeline);
    let may_begin_later = prefix::supported(pipeline, sequences);
    let mut self_pass = |s: &mut Sequence, tap: Arc<dyn LayerTap>| run_pass(pipeline, &context, s, tap).map(drop);
    let mut call =
        PromptCall { sequences, context: &context, self_pass: &mut self_pass, may_begin_later, prefix: None };
    match catch_unwind(AssertUnwindSafe(|| hook.before_prompt(&mut call))) {
        Ok(Ok(tap)) => Prepared { tap, prefix: call.prefix },
        Ok(Err(e)) => {
            tracing::warn!("forward hook failed, the prompt runs without it: {e}");
            Prepared::default()
        }
        Err(_) => {
            tracing::warn!("forward hook panicked, the prompt runs without it");
            Prepared::default()
        }
    }
}

/// Calls the pipeline's hook, if it has one, after a sequence has its complete answer.
pub(crate) fn answered(pipeline: &dyn Pipeline, sequence: &mut Sequence) {
    let Some(hook) = hook_of(&pipeline.get_metadata()) else { return };
    let called = catch_unwind(AssertUnwindSafe(|| hook.after_answer(&mut Answered { pipeline, sequence })));
    if called.is_err() {
        tracing::warn!("forward hook panicked after an answer");
    }
}
