//! Side passes: a prompt through a model, clean, leaving no trace in sequences or caches.
use std::{
    any::Any,
    panic::{catch_unwind, AssertUnwindSafe},
    sync::Arc,
};

use candle_core::{Error, Result, Tensor};
use tokenizers::Tokenizer;

use super::{
    isolate::{isolate, park, unpark},
    keys_values::LayerKeysValues,
    pages,
    prefix::{self, Beginning},
    tap::{side_pass, LayerTap},
};
use crate::{
    pipeline::{ForwardInputsResult, InputProcessorOutput, Pipeline, Processor},
    sequence::Sequence,
};

pub(super) struct Io {
    processor: Arc<dyn Processor>,
    tokenizer: Option<Arc<Tokenizer>>,
    config: Option<Arc<dyn Any>>,
}

impl Io {
    pub(super) fn of<P: Pipeline + ?Sized>(pipeline: &P) -> Self {
        Self {
            processor: pipeline.get_processor(),
            tokenizer: pipeline.tokenizer(),
            config: pipeline.get_input_processor_config(),
        }
    }
}

/// The logits after the last position, `[1, 1, vocabulary]`, unless the tap stopped the pass.
pub(super) fn pass<P: Pipeline + ?Sized>(
    pipeline: &mut P,
    io: &Io,
    sequence: &mut Sequence,
    tap: Arc<dyn LayerTap>,
) -> Result<Option<Tensor>> {
    pass_from(pipeline, io, sequence, tap, None, |_, _| ()).map(|(logits, ())| logits)
}

/// The same, from where it begins; `after` sees the pipeline before the pass is undone, and what layers computed that keep keys and
/// values in pages.
pub(super) fn pass_from<P: Pipeline + ?Sized, T>(
    pipeline: &mut P,
    io: &Io,
    sequence: &mut Sequence,
    tap: Arc<dyn LayerTap>,
    beginning: Option<&Beginning>,
    after: impl FnOnce(&P, Vec<LayerKeysValues>) -> T,
) -> Result<(Option<Tensor>, T)> {
    let parked = park(sequence, &pipeline.device())?;
    let inputs = inputs(pipeline, io, sequence);
    unpark(sequence, parked);
    let InputProcessorOutput { inputs, .. } = inputs?;
    let undo = isolate(pipeline);
    let run = |pipeline: &mut P| prefix::begin(pipeline, beginning, |pipeline| pipeline.forward_inputs(inputs, false));
    let (done, in_pages) =
        pages::record(pipeline, |pipeline| catch_unwind(AssertUnwindSafe(|| side_pass(tap, || run(pipeline)))));
    let seen = after(pipeline, in_pages);
    undo();
    let done = done.unwrap_or_else(|_| Err(Error::Msg("the model panicked in a side pass".into())))?;
    let logits = match done {
        Some(ForwardInputsResult::CausalGeneration { logits }) => Some(logits),
        _ => None,
    };
    Ok((logits, seen))
}

pub(super) fn inputs<P: Pipeline + ?Sized>(
    pipeline: &P,
    io: &Io,
    sequence: &mut Sequence,
) -> Result<InputProcessorOutput> {
    let metadata = pipeline.get_metadata();
    let inputs = crate::engine_fixes::guarded(|| {
        io.processor.inputs_processor().process_inputs(
            io.tokenizer.clone(),
            &mut [&mut *sequence],
            true,
            metadata.is_xlora,
            &pipeline.device(),
            metadata.no_kv_cache,
            None,
            false,
            metadata.sliding_window,
            io.config.clone(),
            None,
            pipeline.device_mapper(),
        )
    });
    inputs.map_err(Error::msg)
}
