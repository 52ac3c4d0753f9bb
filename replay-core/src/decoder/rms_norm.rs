//! `y = w * x / sqrt(mean(x^2) + epsilon)` over the last axis.
use candle_core::{D, Result, Tensor};

/// # Shapes
/// `x`: `[.., width]`, `weight`: `[width]`; returns the shape of `x`.
pub(crate) fn forward(x: &Tensor, weight: &Tensor, epsilon: f64) -> Result<Tensor> {
    x.broadcast_mul(&inverse_rms(x, epsilon)?)?.broadcast_mul(weight)
}

/// With `r = 1 / sqrt(mean(x^2) + epsilon)` and `u = g * w`: `r * u - x * r^3 * mean(u * x)`.
///
/// # Shapes
/// `gradient`: that of the output, the shape of `x`; returns that of the input.
pub(crate) fn backward(x: &Tensor, weight: &Tensor, epsilon: f64, gradient: &Tensor) -> Result<Tensor> {
    let r = inverse_rms(x, epsilon)?;
    let u = gradient.broadcast_mul(weight)?;
    let along = ((&u * x)?.mean_keepdim(D::Minus1)? * (r.sqr()? * &r)?)?;
    u.broadcast_mul(&r)? - x.broadcast_mul(&along)?
}

fn inverse_rms(x: &Tensor, epsilon: f64) -> Result<Tensor> {
    (x.sqr()?.mean_keepdim(D::Minus1)? + epsilon)?.sqrt()?.recip()
}
