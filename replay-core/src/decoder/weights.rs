//! The weights that an adapter provides for a differentiable decoder.
use candle_core::{Result, Tensor};

use super::Linear;

/// Sizes of a decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct DecoderShape {
    /// Query heads.
    pub heads: usize,
    /// Key/value heads.
    pub key_value_heads: usize,
    /// Width of a head.
    pub head: usize,
    /// The epsilon of every RMSNorm.
    pub epsilon: f64,
}

/// The weights of one decoder layer, f32, on the layer's device.
#[derive(Debug, Clone)]
pub struct LayerWeights {
    /// The weight of the RMSNorm before the attention, `[hidden]`.
    pub input_norm: Tensor,
    /// The query projection, `[heads * head, hidden]`.
    pub query: Linear,
    /// The key projection, `[key/value heads * head, hidden]`.
    pub key: Linear,
    /// The value projection, `[key/value heads * head, hidden]`.
    pub value: Linear,
    /// The weights of the RMSNorms of each query and each key head, `[head]` each, in families that have them.
    pub head_norms: Option<(Tensor, Tensor)>,
    /// The output projection of the attention, `[hidden, heads * head]`.
    pub output: Linear,
    /// The weight of the RMSNorm before the feed-forward part, `[hidden]`.
    pub post_norm: Tensor,
    /// The gate projection of the feed-forward part, `[intermediate, hidden]`.
    pub gate: Linear,
    /// The up projection of the feed-forward part, `[intermediate, hidden]`.
    pub up: Linear,
    /// The down projection of the feed-forward part, `[hidden, intermediate]`.
    pub down: Linear,
}

/// A loaded model's weights, one layer at a time: f32 weights are shared, others are converted for as long as their layer is in use.
pub trait DecoderWeights: Send + Sync {
    /// Sizes of the decoder.
    fn shape(&self) -> &DecoderShape;

    /// The weights of one decoder layer.
    ///
    /// # Errors
    /// If the model has no such layer, or it cannot be converted.
    fn layer(&self, layer: usize) -> Result<LayerWeights>;

    /// The weight of the final RMSNorm, `[hidden]`.
    fn final_norm(&self) -> &Tensor;

    /// The head's rows of some vocabulary entries.
    ///
    /// # Shapes
    /// Returns `[tokens, hidden]`, f32.
    ///
    /// # Errors
    /// If a token is outside the vocabulary, or the head cannot be converted.
    fn head_rows(&self, tokens: &[u32]) -> Result<Tensor>;
}
