//! What learning needs of a model.
use std::ops::Range;

use candle_core::Tensor;

use crate::error::Result;
use crate::rows::{Span, SpanRows};

/// What the forward of one layer may keep for its backward. Only the layer knows what is in it; without it the backward computes it again.
#[derive(Debug)]
pub struct Tape(pub Vec<Tensor>);

impl Tape {
    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        self.0.iter().map(|tensor| (tensor.elem_count() * tensor.dtype().size_in_bytes()) as u64).sum()
    }
}

/// The first decoder layers of one model over one prompt, with gradients, between the residual where a delta is added and the last
/// one that is compared.
///
/// Only rows that a delta can move and that the loss can see take part: the [`Span`] from the first visual row to the last. Rows before it
/// are constant (attention is causal) and inside the implementation; rows after it do not exist. `residual` arguments are always
/// `[rows, hidden]` of the rows of the span, f32.
pub trait Differentiable {
    /// The rows of the prompt that take part.
    fn rows(&self) -> Span;

    /// The decoder layers that take part: `residual[start]` enters the first, `residual[end]` leaves the last.
    fn layers(&self) -> Range<usize>;

    /// `residual[start]` of a clean pass, `[rows, hidden]`.
    fn input(&self) -> &Tensor;

    /// Computes `residual[layer + 1]`, and what the backward of this layer can use.
    ///
    /// # Shapes
    /// `residual`: `[rows, hidden]`; returns `[rows, hidden]`, or `[selected, hidden]` where only `selected` rows are wanted.
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
