//! Weights and configuration of a loaded model.
use std::sync::Arc;

use candle_core::Tensor;
use mistralrs_quant::QuantMethod;

/// Handles to a model's weights. No weight is copied.
#[derive(Debug)]
pub struct ModelWeights {
    /// All linear layers that can be quantised, in the model's order, with their decoder layer; `None` outside the decoder layers.
    pub linear: Vec<(Arc<dyn QuantMethod>, Option<usize>)>,
    /// The tensors that are never quantised (norms, embeddings), by name.
    pub residual: Vec<(String, Tensor)>,
    /// The text of the model's `config.json`.
    pub config: String,
}
