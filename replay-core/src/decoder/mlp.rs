//! The gated feed-forward part of a layer: `down(silu(gate(x)) * up(x))`.
use candle_core::{Result, Tensor};

use super::{kernel, weights::LayerWeights};

/// The gate and up projections of `x`.
///
/// # Shapes
/// `x`: `[rows, hidden]`; returns `[rows, intermediate]` twice.
pub(super) fn projections(weights: &LayerWeights, x: &Tensor) -> Result<(Tensor, Tensor)> {
    Ok((weights.gate.forward(x)?, weights.up.forward(x)?))
}

/// The output of the feed-forward part, `down(silu(gate) * up)`.
///
/// # Shapes
/// `gate`, `up`: `[rows, intermediate]`; returns `[rows, hidden]`.
pub(super) fn output(weights: &LayerWeights, gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    weights.down.forward(&kernel::gated(gate, up)?)
}

/// The gradient with respect to `x` of `sum(gradient * output)`.
///
/// # Shapes
/// `gate`, `up`: `[rows, intermediate]`, `gradient`: `[rows, hidden]`; returns `[rows, hidden]`.
pub(super) fn backward(weights: &LayerWeights, gate: &Tensor, up: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let gradient = weights.down.backward(gradient)?;
    let (grad_gate, grad_up) = kernel::gated_backward(gate, up, &gradient)?;
    weights.gate.backward(&grad_gate)? + weights.up.backward(&grad_up)?
}
