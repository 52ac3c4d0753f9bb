//! `y = x W^T + b`.
use candle_core::{Result, Tensor};

/// A linear layer, f32. Cloning shares the weights.
#[derive(Debug, Clone)]
pub struct Linear {
    /// `[out, in]`.
    pub weight: Tensor,
    /// `[out]`.
    pub bias: Option<Tensor>,
}

impl Linear {
    /// # Shapes
    /// `x`: `[rows, in]`; returns `[rows, out]`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = x.matmul(&self.weight.t()?)?;
        match &self.bias {
            Some(bias) => y.broadcast_add(bias),
            None => Ok(y),
        }
    }

    /// # Shapes
    /// `gradient`: `[rows, out]`; returns `[rows, in]`.
    pub(crate) fn backward(&self, gradient: &Tensor) -> Result<Tensor> {
        gradient.matmul(&self.weight)
    }
}
