//! What the engine's own steps call: before a prompt, in its forward, and after an answer.
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
    pass::{pass, Io},
    prefix::{self, Beginning},
    tap::{with_tap, LayerTap},
};
use crate::{
    pipeline::{CacheBackendMetadata, ForwardInputsResult, Pipeline},
    sequence::Sequence,
};

/// What a hook has the real forward of a step do.
#[derive(Default)]
pub(crate) struct Prepared {
    tap: Option<Arc<dyn LayerTap>>,
    beginning: Option<Beginning>,
}

/// The real forward of a step.
pub(crate) fn forward<P: Pipeline + ?Sized>(
    pipeline: &mut P,
    prepared: &Prepared,
    inputs: Box<dyn Any>,
    return_raw_logits: bool,
) -> Result<ForwardInputsResult> {
    with_tap(prepared.tap.clone(), || {
        prefix::begin(pipeline, prepared.beginning.as_ref(), |pipeline| {
            crate::engine_fixes::forward(pipeline, inputs, return_raw_logits)
        })
    })
}

/// Lets the hook of this pipeline, if there is one, look at the prompts that are about to run.
pub(crate) fn prepare<P: Pipeline + ?Sized>(
    pipeline: &mut P,
    sequences: &mut [&mut Sequence],
    is_prompt: bool,
    backend: &CacheBackendMetadata,
) -> Prepared {
    pages::begin_step(backend);
    // A step that failed between its side passes and its forward left what they shared.
    encodings::end();
    if !is_prompt {
        return Prepared::default();
    }
    let Some(hook) = hook_of(&pipeline.get_metadata()) else { return Prepared::default() };
    // A prefix hit of the default scheduler shows only the suffix of the prompt, without its images: it cannot be run again.
    if sequences.iter().any(|s| s.token_offset() != 0) {
        return Prepared::default();
    }
    encodings::begin(hook.shares_encoders());
    let io = Io::of(pipeline);
    let may_begin_later = prefix::possible(pipeline, sequences);
    let mut own = |s: &mut Sequence, tap: Arc<dyn LayerTap>| pass(pipeline, &io, s, tap).map(drop);
    let mut call = PromptCall { sequences, io: &io, own: &mut own, may_begin_later, beginning: None };
    match catch_unwind(AssertUnwindSafe(|| hook.before_prompt(&mut call))) {
        Ok(Ok(tap)) => Prepared { tap, beginning: call.beginning },
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

/// Tells the hook of this pipeline, if there is one, that a sequence has its answer.
pub(crate) fn answered(pipeline: &dyn Pipeline, sequence: &mut Sequence) {
    let Some(hook) = hook_of(&pipeline.get_metadata()) else { return };
    let told = catch_unwind(AssertUnwindSafe(|| hook.after_answer(&mut Answered { pipeline, sequence })));
    if told.is_err() {
        tracing::warn!("forward hook panicked after an answer");
    }
}
