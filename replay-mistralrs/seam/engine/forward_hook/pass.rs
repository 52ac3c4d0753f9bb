//! Side passes: a model runs over a prompt without changing sequences or caches.
use std::{
    any::Any,
    panic::{catch_unwind, AssertUnwindSafe},
    sync::Arc,
};

use candle_core::{Error, Result, Tensor};
use tokenizers::Tokenizer;

use super::{
    isolate::{restore_media, swap_cache, swap_media},
    keys_values::LayerKeysValues,
    pages,
    prefix::{self, KnownPrefix},
    tap::{side_pass, LayerTap},
};
use crate::{
    pipeline::{ForwardInputsResult, InputProcessorOutput, Pipeline, Processor},
    sequence::Sequence,
};

/// What a pipeline needs to make a model's inputs of a sequence.
pub(super) struct InputContext {
    processor: Arc<dyn Processor>,
    tokenizer: Option<Arc<Tokenizer>>,
    config: Option<Arc<dyn Any>>,
}

impl InputContext {
    pub(super) fn of<P: Pipeline + ?Sized>(pipeline: &P) -> Self {
        Self {
            processor: pipeline.get_processor(),
            tokenizer: pipeline.tokenizer(),
            config: pipeline.get_input_processor_config(),
        }
    }
}

/// Runs the model over the whole prompt, and returns the logits after the last position, `[1, 1, vocabulary]`; `None` if the tap stopped
/// the pass.
pub(super) fn run_pass<P: Pipeline + ?Sized>(
    pipeline: &mut P,
    context: &InputContext,
    sequence: &mut Sequence,
    tap: Arc<dyn LayerTap>,
) -> Result<Option<Tensor>> {
    run_pass_after(pipeline, context, sequence, tap, None, |_, _| ()).map(|(logits, ())| logits)
}

/// Runs the model after a known prefix. `read` gets the pipeline before its cache is restored, and the keys and values that layers with
/// pages computed.
pub(super) fn run_pass_after<P: Pipeline + ?Sized, T>(
    pipeline: &mut P,
    context: &InputContext,
    sequence: &mut Sequence,
    tap: Arc<dyn LayerTap>,
    prefix: Option<&KnownPrefix>,
    read: impl FnOnce(&P, Vec<LayerKeysValues>) -> T,
) -> Result<(Option<Tensor>, T)> {
    let media = swap_media(sequence, &pipeline.device())?;
    let inputs = process_inputs(pipeline, context, sequence);
    restore_media(sequence, media);
    let InputProcessorOutput { inputs, .. } = inputs?;
    let restore_cache = swap_cache(pipeline);
    let run =
        |pipeline: &mut P| prefix::forward_after(pipeline, prefix, |pipeline| pipeline.forward_inputs(inputs, false));
    let (done, in_pages) =
        pages::record(pipeline, |pipeline| catch_unwind(AssertUnwindSafe(|| side_pass(tap, || run(pipeline)))));
    let result = read(pipeline, in_pages);
    restore_cache();
    let done = done.unwrap_or_else(|_| Err(Error::Msg("the model panicked in a side pass".into())))?;
    let logits = match done {
        Some(ForwardInputsResult::CausalGeneration { logits }) => Some(logits),
        _ => None,
    };
    Ok((logits, result))
}

/// Makes the model's inputs of one sequence. A panic of the input processor becomes an error.
pub(super) fn process_inputs<P: Pipeline + ?Sized>(
    pipeline: &P,
    context: &InputContext,
    sequence: &mut Sequence,
) -> Result<InputProcessorOutput> {
    let metadata = pipeline.get_metadata();
    let inputs = crate::engine_fixes::guarded(|| {
        context.processor.inputs_processor().process_inputs(
            context.tokenizer.clone(),
            &mut [&mut *sequence],
            true,
            metadata.is_xlora,
            &pipeline.device(),
            metadata.no_kv_cache,
            None,
            false,
            metadata.sliding_window,
            context.config.clone(),
            None,
            pipeline.device_mapper(),
        )
    });
    inputs.map_err(Error::msg)
}
