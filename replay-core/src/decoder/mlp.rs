//! The gated feed-forward part of a layer: `down(silu(gate(x)) * up(x))`.
use candle_core::{Result, Tensor};

use super::{kernel, weights::LayerWeights};

/// # Shapes
/// `x`: `[rows, hidden]`; returns gate and up, `[rows, intermediate]` each.
pub(super) fn open(weights: &LayerWeights, x: &Tensor) -> Result<(Tensor, Tensor)> {
    Ok((weights.gate.forward(x)?, weights.up.forward(x)?))
}

/// # Shapes
/// `gate`, `up`: `[rows, intermediate]`; returns `[rows, hidden]`.
pub(super) fn close(weights: &LayerWeights, gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    weights.down.forward(&kernel::gated(gate, up)?)
}

/// # Shapes
/// `gradient`: `[rows, hidden]`; returns that of `x`, `[rows, hidden]`.
pub(super) fn backward(weights: &LayerWeights, gate: &Tensor, up: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let gradient = weights.down.backward(gradient)?;
    let (to_gate, to_up) = kernel::gated_backward(gate, up, &gradient)?;
    weights.gate.backward(&to_gate)? + weights.up.backward(&to_up)?
}
