//! Makes differentiable decoder layers over the visual rows of a prompt from captured residuals.
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use replay_core::config::Positions;
use replay_core::decoder::{DecoderSpan, Rotary, SpanInput};
use replay_core::{Activations, Error, Mismatch, PromptMap, Result, RowSet, Span};

use crate::runtime::decoder::EngineDecoder;

/// The residuals of a clean pass that the differentiable decoder layers need: the input of the first layer, and the output of each layer after
/// which visual features are added.
pub(crate) fn required_residuals(decoder: &EngineDecoder, layers: &Range<usize>) -> Vec<usize> {
    let last_deepstack = decoder.deepstack.min(layers.end);
    (layers.start..=last_deepstack.max(layers.start)).collect()
}

/// The rows from the first visual row to the last, which are those that learning changes or reads.
pub(crate) fn visual_span(prompt: &PromptMap) -> Span {
    Span::around(&prompt.candidates(Positions::Visual))
}

/// Creates the differentiable decoder layers over the visual span of a prompt, from captured residuals of all rows up to the end of the span.
///
/// # Errors
/// [`Error::Prompt`] if the span ends beyond the model's attention window; another error if a residual or row is missing or a layer fails.
pub(crate) fn decoder_span(
    decoder: &Arc<EngineDecoder>,
    prompt: &PromptMap,
    layers: Range<usize>,
    captured: &Activations,
) -> Result<DecoderSpan> {
    let visual = prompt.candidates(Positions::Visual);
    let span = Span::around(&visual);
    if let Some(window) = decoder.attention_window.filter(|window| span.end > *window) {
        return Err(Error::Prompt(Mismatch::new(
            "visual rows for strategy \"learned\"",
            format!("rows before row {window}, because this model's attention window is {window} rows"),
            format!("visual rows up to row {}", span.end - 1),
            "use strategy \"substitute\", or send smaller or fewer images",
        )));
    }
    let rows = RowSet::all(span.end);
    let residuals =
        required_residuals(decoder, &layers).into_iter().map(|layer| Ok((layer, captured.select(layer, &rows)?)));
    let residuals: BTreeMap<_, _> = residuals.collect::<Result<_>>()?;
    let positions = (decoder.profile.positions)(prompt);
    let device = captured.residual(layers.start)?.device().clone();
    let rotary = Rotary::new(&positions[..span.end], &decoder.frequencies, &decoder.sections, &device)?;
    DecoderSpan::new(decoder.clone(), SpanInput { layers, residuals: &residuals, span, visual: &visual, rotary })
}
