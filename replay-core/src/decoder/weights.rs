//! What a model hands out to be differentiated.
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
    /// Of every RMSNorm.
    pub epsilon: f64,
}

/// The weights of one decoder layer, f32, on the layer's device.
#[derive(Debug, Clone)]
pub struct LayerWeights {
    /// RMSNorm in front of the attention, `[hidden]`.
    pub input_norm: Tensor,
    /// `[heads * head, hidden]`.
    pub query: Linear,
    /// `[key/value heads * head, hidden]`.
    pub key: Linear,
    /// `[key/value heads * head, hidden]`.
    pub value: Linear,
    /// RMSNorm of each query and key head, `[head]` each, in families that have it.
    pub head_norms: Option<(Tensor, Tensor)>,
    /// `[hidden, heads * head]`.
    pub output: Linear,
    /// RMSNorm in front of the feed-forward part, `[hidden]`.
    pub post_norm: Tensor,
    /// `[intermediate, hidden]`.
    pub gate: Linear,
    /// `[intermediate, hidden]`.
    pub up: Linear,
    /// `[hidden, intermediate]`.
    pub down: Linear,
}

/// A loaded model's weights, one layer at a time: what is f32 already is shared, what is stored otherwise is converted for as long
/// as its layer is in use.
pub trait DecoderWeights: Send + Sync {
    /// Sizes of the decoder.
    fn shape(&self) -> &DecoderShape;

    /// # Errors
    /// If the model has no such layer, or it cannot be converted.
    fn layer(&self, layer: usize) -> Result<LayerWeights>;

    /// The final RMSNorm, `[hidden]`.
    fn final_norm(&self) -> &Tensor;

    /// Rows of the head.
    ///
    /// # Shapes
    /// Returns `[tokens, hidden]`, f32.
    ///
    /// # Errors
    /// If a token is outside the vocabulary, or the head cannot be converted.
    fn head_rows(&self, tokens: &[u32]) -> Result<Tensor>;
}
