//! What learning needs of a model.
use std::ops::Range;

use candle_core::Tensor;

use crate::Result;

/// What the forward of one layer may keep for its backward. Only the layer knows what is in it; without it the layer computes again.
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
/// Only rows that a delta can move and that the loss can see are here: from the first visual row to the last one. Rows in front are
/// constant (attention is causal) and inside the implementation; rows behind do not exist. `residual` arguments are always
/// `[rows, hidden]` of these rows, f32, and rows are counted from the first of them.
pub trait Differentiable {
    /// Positions in the prompt of the rows.
    fn rows(&self) -> Range<usize>;

    /// Decoder layers: from `start` at `residual[start]` to before `end` at `residual[end]`.
    fn layers(&self) -> Range<usize>;

    /// `residual[start]` of a clean pass.
    fn input(&self) -> &Tensor;

    /// `residual[layer + 1]`, and what the backward of this layer can use.
    ///
    /// # Shapes
    /// Returns `[rows, hidden]`, or `[selected, hidden]` with `selected` rows: a last layer need not compute what nobody looks at.
    ///
    /// # Errors
    /// Those of the tensor library.
    fn forward(&self, layer: usize, residual: &Tensor, selected: Option<&[usize]>) -> Result<(Tensor, Tape)>;

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
        selected: Option<&[usize]>,
        tape: Option<Tape>,
        gradient: &Tensor,
    ) -> Result<Tensor>;

    /// The model's final norm.
    ///
    /// # Shapes
    /// `[any, hidden]` to the same.
    ///
    /// # Errors
    /// Those of the tensor library.
    fn norm(&self, residual: &Tensor) -> Result<Tensor>;

    /// The gradient of `sum(gradient * norm(residual))` with respect to `residual`.
    ///
    /// # Errors
    /// Those of the tensor library.
    fn norm_backward(&self, residual: &Tensor, gradient: &Tensor) -> Result<Tensor>;

    /// Rows of the model's head.
    ///
    /// # Shapes
    /// Returns `[tokens, hidden]`, f32.
    ///
    /// # Errors
    /// If a token is outside the vocabulary.
    fn head_rows(&self, tokens: &[u32]) -> Result<Tensor>;
}
