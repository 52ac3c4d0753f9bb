//! The memory of a base model.
use std::sync::PoisonError;

use candle_core::Tensor;
use mistralrs_core::Pipeline;

use crate::pairing::attached::Attached;

impl Attached {
    /// Bytes of the base's decoder weights: loaded layers, embeddings and head. Zero while the base is in use.
    pub fn base_bytes(&self) -> u64 {
        let base = self.hook.pair.base.lock().unwrap_or_else(PoisonError::into_inner);
        base.try_lock().map_or(0, |mut pipeline| weight_bytes(&mut *pipeline))
    }
}

fn weight_bytes(pipeline: &mut dyn Pipeline) -> u64 {
    let Some(weights) = pipeline.model_weights() else { return 0 };
    let bytes = |tensor: &Tensor| (tensor.elem_count() * tensor.dtype().size_in_bytes()) as u64;
    let residual: u64 = weights.residual.iter().map(|(_, tensor)| bytes(tensor)).sum();
    let linear = weights.linear.iter().map(|(layer, _)| match layer.unquant_weight_bias() {
        Some((weight, bias)) => bytes(&weight) + bias.as_ref().map_or(0, bytes),
        // A quantised layer counts as its serialized form.
        None if layer.isq_serde_supported() => layer.serialize().map_or(0, |serialized| serialized.len() as u64),
        None => 0,
    });
    residual + linear.sum::<u64>()
}
