//! Compares a backend's gradients with its own passes. Strategy `learned` with wrong gradients would not fail: it would return a wrong
//! delta.
use std::ops::Range;

use candle_core::{DType, Tensor};

use crate::learned::{Differentiable, Tape};
use crate::{Error, ReplayBackend, Result, Role};

/// Number of rows in which a slope is measured.
const PROBES: usize = 4;
/// Length of a finite-difference step, relative to the length of its row: short enough for the layers to be close to linear, long enough
/// for f32 to resolve the difference.
const STEP: f64 = 1e-2;

/// Differences between one model's differentiable layers and its passes, and between their gradients and finite differences.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gradients {
    /// Largest difference between the last residual and the captured one, as a share of its largest value.
    pub forward: f64,
    /// Largest difference between a measured slope and the gradient's, as a share of the steepest slope.
    pub slope: f64,
}

/// Runs the differentiable layers of one model, and compares them with a capture and their gradients with differences of their own
/// forward; `None` if the backend has no gradients.
///
/// # Errors
/// Those of the backend.
pub(super) async fn gradients(
    backend: &mut dyn ReplayBackend,
    role: Role,
    layers: Range<usize>,
) -> Result<Option<Gradients>> {
    let Some(model) = backend.differentiable(role, layers.clone()).await? else { return Ok(None) };
    let rows = model.rows();
    let captured = backend.capture(role, &[layers.end], &rows.prompt_rows()).await?;
    let last = captured.residual(layers.end)?.to_dtype(DType::F32)?;
    let input = model.input().clone();
    let (residual, output, tapes) = run(&*model, &input)?;
    let forward = largest(&(&residual - &last)?)? / largest(&last)?.max(f64::MIN_POSITIVE);

    // The loss is a sum of the normed residuals with weights between -1 and 1.
    let weights = noise(output.dims2()?, 1)?.to_device(output.device())?;
    let mut gradient = model.norm_backward(&residual, &weights)?;
    for (index, (layer, input, tape)) in tapes.into_iter().enumerate().rev() {
        // Every second layer runs its backward with a tape, the others without, so that both are tested.
        let tape = Some(tape).filter(|_| index % 2 == 0);
        gradient = model.backward(layer, &input, None, tape, &gradient)?;
    }

    let mut slopes = Vec::new();
    for probe in 0..PROBES.min(rows.len()) {
        let row = probe * (rows.len() - 1) / (PROBES.min(rows.len()) - 1).max(1);
        let direction = noise((1, input.dim(1)?), 2 + probe as u32)?.to_device(input.device())?;
        let length = |t: &Tensor| -> Result<f64> { Ok(sum(&t.sqr()?)?.sqrt()) };
        let step = (&direction * (STEP * length(&input.narrow(0, row, 1)?)? / length(&direction)?))?;
        let step = step.pad_with_zeros(0, row, rows.len() - row - 1)?;
        let plus = run(&*model, &(&input + &step)?)?.1;
        let minus = run(&*model, &(&input - &step)?)?.1;
        let measured = sum(&((plus - minus)? * &weights)?)? / 2.0;
        slopes.push((measured, sum(&(&gradient * &step)?)?));
    }
    let steepest = slopes.iter().flat_map(|(a, b)| [a.abs(), b.abs()]).fold(f64::MIN_POSITIVE, f64::max);
    let slope = slopes.iter().map(|(a, b)| (a - b).abs() / steepest).fold(0.0, max_or_nan);
    Ok(Some(Gradients { forward, slope }))
}

/// Runs all layers and the final norm. Returns the last residual, the norm's output, and the input and tape of each layer.
#[allow(clippy::type_complexity)]
fn run(model: &dyn Differentiable, input: &Tensor) -> Result<(Tensor, Tensor, Vec<(usize, Tensor, Tape)>)> {
    let (mut residual, mut tapes) = (input.clone(), Vec::new());
    for layer in model.layers() {
        let (next, tape) = model.forward(layer, &residual, None)?;
        tapes.push((layer, std::mem::replace(&mut residual, next), tape));
    }
    let output = model.norm(&residual)?;
    Ok((residual, output, tapes))
}

/// The larger of two values, or NaN if one is NaN.
fn max_or_nan(worst: f64, other: f64) -> f64 {
    if other > worst || other.is_nan() { other } else { worst }
}

fn values(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.flatten_all().and_then(|flat| flat.to_vec1()).map_err(Error::from)
}

fn largest(tensor: &Tensor) -> Result<f64> {
    Ok(values(tensor)?.into_iter().map(|value| f64::from(value.abs())).fold(0.0, max_or_nan))
}

fn sum(tensor: &Tensor) -> Result<f64> {
    Ok(values(tensor)?.into_iter().map(f64::from).sum())
}

/// Values between -1 and 1, the same in every run.
fn noise((rows, columns): (usize, usize), seed: u32) -> Result<Tensor> {
    let value = |index: usize| {
        let mut x = (index as u32).wrapping_add(seed.wrapping_mul(0x9E37_79B9)).wrapping_mul(0x85EB_CA6B);
        x = (x ^ (x >> 13)).wrapping_mul(0xC2B2_AE35);
        (x ^ (x >> 16)) as f32 / u32::MAX as f32 * 2.0 - 1.0
    };
    let values: Vec<f32> = (0..rows * columns).map(value).collect();
    Ok(Tensor::from_vec(values, (rows, columns), &candle_core::Device::Cpu)?)
}
