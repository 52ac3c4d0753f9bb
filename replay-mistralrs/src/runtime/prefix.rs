//! From the engine's residuals to differentiable decoder layers over the visual rows of a prompt.
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use replay_core::config::Positions;
use replay_core::decoder::{DecoderSpan, Rotary, SpanInput};
use replay_core::{Activations, Error, Mismatch, PromptMap, Result, RowSet, Span};

use crate::runtime::decoder::EngineDecoder;

/// The residuals of a clean pass that these decoder layers start from: the first, and the output of each layer after which visual features
/// are added.
pub(crate) fn needed(decoder: &EngineDecoder, layers: &Range<usize>) -> Vec<usize> {
    let last_added = decoder.deepstack.min(layers.end);
    (layers.start..=last_added.max(layers.start)).collect()
}

/// The rows that learning can move and see: from the first visual row to the last.
pub(crate) fn visual_span(prompt: &PromptMap) -> Span {
    Span::around(&prompt.candidates(Positions::Visual))
}

/// The decoder layers over the visual span of a prompt, from captured residuals of all rows up to its end.
///
/// # Errors
/// [`Error::Prompt`] if the span is longer than the model's attention window; if a residual or row is missing, or a layer fails.
pub(crate) fn prefix(
    decoder: &Arc<EngineDecoder>,
    prompt: &PromptMap,
    layers: Range<usize>,
    captured: &Activations,
) -> Result<DecoderSpan> {
    let visual = prompt.candidates(Positions::Visual);
    let span = Span::around(&visual);
    if let Some(window) = decoder.window.filter(|window| span.end > *window) {
        return Err(Error::Prompt(Mismatch::new(
            "visual rows for strategy \"learned\"",
            format!("rows before row {window}, since this model's attention looks back over {window} rows"),
            format!("a last visual row at {}", span.end - 1),
            "use strategy \"substitute\", or send smaller or fewer images",
        )));
    }
    let rows = RowSet::all(span.end);
    let residuals = needed(decoder, &layers).into_iter().map(|layer| Ok((layer, captured.select(layer, &rows)?)));
    let residuals: BTreeMap<_, _> = residuals.collect::<Result<_>>()?;
    let positions = (decoder.profile.positions)(prompt);
    let device = captured.residual(layers.start)?.device().clone();
    let rotary = Rotary::new(&positions[..span.end], &decoder.frequencies, &decoder.sections, &device)?;
    DecoderSpan::new(decoder.clone(), SpanInput { layers, residuals: &residuals, span, visual: &visual, rotary })
}
