//! A linear layer, `y = x W^T + b`.
use candle_core::{Result, Tensor};

/// A linear layer, f32. Cloning shares the weights.
#[derive(Debug, Clone)]
pub struct Linear {
    /// The matrix `W`, `[out, in]`.
    pub weight: Tensor,
    /// The bias `b`, `[out]`.
    pub bias: Option<Tensor>,
}

impl Linear {
    /// Computes `x W^T + b`.
    ///
    /// # Shapes
    /// `x`: `[rows, in]`; returns `[rows, out]`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = x.matmul(&self.weight.t()?)?;
        match &self.bias {
            Some(bias) => y.broadcast_add(bias),
            None => Ok(y),
        }
    }

    /// The gradient with respect to `x` of `sum(gradient * forward(x))`.
    ///
    /// # Shapes
    /// `gradient`: `[rows, out]`; returns `[rows, in]`.
    pub(crate) fn backward(&self, gradient: &Tensor) -> Result<Tensor> {
        gradient.matmul(&self.weight)
    }
}
