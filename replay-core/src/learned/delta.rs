//! The delta that strategy `learned` finds.
use candle_core::Tensor;

use crate::RowSet;

/// The delta that was learned for one prompt.
#[derive(Debug, Clone)]
pub struct LearnedDelta {
    /// `[visual rows, hidden]`, f32.
    pub delta: Tensor,
    /// The loss at each pass.
    pub losses: Vec<f64>,
    /// The rows of the prompt that were selected at each policy layer.
    pub selected: Vec<RowSet>,
}
