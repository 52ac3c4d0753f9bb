//! The logit lens: the prediction of a model from the residual stream between two decoder layers.
//!
//! `softmax(head(norm(residual)))` with the model's own final norm and head (paper, section 3; published code, the entropy pass of the
//! base model). The logits of all rows at once would be the largest tensor of a request, so they are computed in blocks of rows.
mod compare;
mod entropy;
mod exp;
mod kl;
mod soft_cap;
mod streamed;
mod top;
mod values;

use candle_core::Tensor;

pub use compare::RowComparison;
pub(crate) use exp::exp;
pub use soft_cap::soft_cap;
pub use streamed::{StreamedLens, entropies};

use crate::RowSet;

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

#[cfg(test)]
mod tests;
