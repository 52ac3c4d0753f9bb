//! Tests that the differentiable decoder gives the engine's residuals. With wrong weights, norms, rotary positions or visual features between
//! layers, learning would run without any error and find a wrong delta.
use std::ops::Range;
use std::sync::Arc;

use candle_core::{DType, Tensor};
use mistralrs_core::Pipeline;
use replay_core::learned::Differentiable;
use replay_core::{Error, Role};

use super::image_prompt::{run_image_prompt, two_images};
use crate::error::AttachError;
use crate::families::{Family, PromptLabeller};
use crate::runtime::capture_tap::CaptureTap;
use crate::runtime::decoder::{EngineDecoder, Precision};
use crate::runtime::decoder_span::decoder_span;

/// The largest error of a row that passes: length of the difference over length of the row. Relative to the largest value instead, a few outlier
/// channels would hide errors in all others. The differentiable decoder computes in f32; the engine's half precision and quantised kernels
/// round more.
const F32_ON_CPU: f32 = 1e-4;
const F32_ON_GPU: f32 = 5e-3;
const HALF: f32 = 0.05;
const QUANTISED: f32 = 0.3;

/// Compares the output of each of `layers` over the visual span of a prompt with two images. Returns the largest error of a row.
///
/// # Errors
/// If the engine fails on the prompt, or an error exceeds the tolerance.
pub(crate) fn test_decoder(
    pipeline: &mut dyn Pipeline,
    family: &'static Family,
    labeller: &PromptLabeller,
    decoder: &Arc<EngineDecoder>,
    layers: Range<usize>,
    role: Role,
) -> Result<f32, AttachError> {
    let all: Vec<usize> = (layers.start..=layers.end.max(decoder.deepstack)).collect();
    let tap = Arc::new(CaptureTap::for_all_rows(&all));
    let (prompt, _) = run_image_prompt(pipeline, family, labeller, &two_images(), tap.clone(), role)?;
    let captured = tap.take_activations(role)?;

    let span = decoder_span(decoder, &prompt, layers.clone(), &captured)?;
    let tolerance = match decoder.precision() {
        Precision::F32 if span.input().device().is_cpu() => F32_ON_CPU,
        Precision::F32 => F32_ON_GPU,
        Precision::Half => HALF,
        Precision::Quantised => QUANTISED,
    };
    let mut residual = span.input().clone();
    let mut worst = 0f32;
    for layer in layers {
        residual = span.forward(layer, &residual, None)?.0;
        let engine = captured.residual(layer + 1)?.narrow(0, span.rows().start, span.rows().len())?;
        let error = largest_error(&engine.to_dtype(DType::F32)?, &residual)?;
        // A comparison with NaN is false, so it needs a check of its own.
        if error.is_nan() || error > tolerance {
            return Err(Error::engine(format!(
                "the differentiable decoder differs from the {role} model at residual[{}]: expected at most {tolerance:e} of the length \
                 of a row, got {error:e}",
                layer + 1
            ))
            .into());
        }
        worst = worst.max(error);
    }
    Ok(worst)
}

/// The largest error of a row: length of the difference over length of the row.
///
/// # Shapes
/// Both: `[rows, hidden]`.
fn largest_error(engine: &Tensor, decoder: &Tensor) -> candle_core::Result<f32> {
    let length = |tensor: &Tensor| tensor.sqr()?.sum(1)?.sqrt()?.to_vec1::<f32>();
    let differences = length(&(engine - decoder.to_device(engine.device())?)?)?;
    let errors =
        differences.iter().zip(length(engine)?).map(|(difference, length)| difference / length.max(f32::MIN_POSITIVE));
    Ok(errors.fold(0.0, |worst, error| if error > worst || error.is_nan() { error } else { worst }))
}
