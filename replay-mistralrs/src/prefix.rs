//! From the engine's residuals to a differentiable prefix of a prompt.
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use replay_core::decoder::{DecoderPrefix, PrefixInput, Rotary};
use replay_core::{Activations, Error, PromptMap, Result};

use crate::decoder::EngineDecoder;

/// The residuals of a clean pass that a prefix of these layers starts from: the first, and where visual features enter between layers,
/// what is there after them.
pub(crate) fn needed(decoder: &EngineDecoder, layers: &Range<usize>) -> Vec<usize> {
    let last_added = decoder.deepstack.min(layers.end);
    (layers.start..=last_added.max(layers.start)).collect()
}

/// # Errors
/// If a residual is missing, or a layer fails.
pub(crate) fn prefix(
    decoder: &Arc<EngineDecoder>,
    prompt: &PromptMap,
    layers: Range<usize>,
    captured: &Activations,
) -> Result<DecoderPrefix> {
    let visual = prompt.visual_rows();
    let rows = visual.first().copied().unwrap_or(0)..visual.last().map_or(0, |last| last + 1);
    if let Some(window) = decoder.window.filter(|window| rows.end > *window) {
        return Err(Error::Unavailable(format!(
            "learning for a prompt whose last visual row is {}: this model's attention looks back over {window} rows",
            rows.end
        )));
    }
    let residuals = needed(decoder, &layers).into_iter().map(|layer| Ok((layer, captured.residual(layer)?.clone())));
    let residuals: BTreeMap<_, _> = residuals.collect::<Result<_>>()?;
    let positions = (decoder.profile.positions)(prompt);
    let device = captured.residual(layers.start)?.device().clone();
    let rotary = Rotary::new(&positions[..rows.end], &decoder.frequencies, &decoder.sections, &device)?;
    DecoderPrefix::new(decoder.clone(), PrefixInput { layers, residuals: &residuals, rows, visual: &visual, rotary })
}
