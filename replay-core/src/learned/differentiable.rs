//! The trait through which a delta is learned.
use std::ops::Range;

use candle_core::Tensor;

use crate::error::Result;
use crate::rows::{Span, SpanRows};

/// Intermediate values that the forward of one layer keeps for its backward. Their meaning is known to the layer only; without them the
/// backward computes them again.
#[derive(Debug)]
pub struct Tape(pub Vec<Tensor>);

impl Tape {
    /// Bytes of memory held.
    pub fn bytes(&self) -> u64 {
        self.0.iter().map(|tensor| (tensor.elem_count() * tensor.dtype().size_in_bytes()) as u64).sum()
    }
}

/// The first decoder layers of one model over one prompt, with gradients, between the residual where a delta is added and the last
/// one that is compared.
///
/// Only the rows of the [`Span`] from the first visual row to the last take part, since a delta can change no row before it (attention is
/// causal) and the loss depends on no row after it. The implementation holds the keys and values of the rows before the span. `residual`
/// arguments are always `[rows, hidden]` of the rows of the span, f32.
pub trait Differentiable {
    /// The rows of the prompt over which the layers run.
    fn rows(&self) -> Span;

    /// The decoder layers: `residual[start]` enters the first, the last returns `residual[end]`.
    fn layers(&self) -> Range<usize>;

    /// `residual[start]` of a clean pass, `[rows, hidden]`.
    fn input(&self) -> &Tensor;

    /// Computes `residual[layer + 1]`, and the tape for the backward of this layer.
    ///
    /// # Shapes
    /// `residual`: `[rows, hidden]`; returns `[rows, hidden]`, or `[selected, hidden]` if `selected` names the rows to compute.
    ///
    /// # Errors
    /// Those of the tensor library.
    fn forward(&self, layer: usize, residual: &Tensor, selected: Option<&SpanRows>) -> Result<(Tensor, Tape)>;

    /// The gradient of `sum(gradient * forward(layer, residual, selected))` with respect to `residual`.
    ///
    /// # Shapes
    /// `gradient`: that of the forward's output; returns `[rows, hidden]`.
    ///
    /// # Errors
    /// Those of the tensor library.
    fn backward(
        &self,
        layer: usize,
        residual: &Tensor,
        selected: Option<&SpanRows>,
        tape: Option<Tape>,
        gradient: &Tensor,
    ) -> Result<Tensor>;

    /// Applies the model's final norm.
    ///
    /// # Shapes
    /// `residual`: `[any, hidden]`; returns the same.
    ///
    /// # Errors
    /// Those of the tensor library.
    fn norm(&self, residual: &Tensor) -> Result<Tensor>;

    /// The gradient of `sum(gradient * norm(residual))` with respect to `residual`.
    ///
    /// # Shapes
    /// `residual`, `gradient`: `[any, hidden]`; returns the same.
    ///
    /// # Errors
    /// Those of the tensor library.
    fn norm_backward(&self, residual: &Tensor, gradient: &Tensor) -> Result<Tensor>;

    /// The head's rows of some vocabulary entries.
    ///
    /// # Shapes
    /// Returns `[tokens, hidden]`, f32.
    ///
    /// # Errors
    /// If a token is outside the vocabulary.
    fn head_rows(&self, tokens: &[u32]) -> Result<Tensor>;
}
