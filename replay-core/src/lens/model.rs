//! What a lens reads with: the final norm and head of one model.
use candle_core::Tensor;

use crate::rows::RowSet;

/// One model's final norm and head (with whatever scaling or soft cap its architecture puts there), in the engine's own precision.
pub trait LogitLens: Send + Sync {
    /// The size of the vocabulary, which is the number of rows of the head.
    fn vocabulary(&self) -> usize;

    /// The logits that the model would compute from a residual of any decoder layer.
    ///
    /// # Shapes
    /// `residual`: `[rows, hidden]`; returns `[rows, vocabulary]`, not normalised.
    ///
    /// # Errors
    /// Those of the engine's own layers.
    fn logits(&self, residual: &Tensor) -> candle_core::Result<Tensor>;
}

/// Rows of one residual whose entropies are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LensRows {
    /// `j` of `residual[j]`.
    pub residual: usize,
    /// The rows, by their position in the prompt.
    pub rows: RowSet,
}
