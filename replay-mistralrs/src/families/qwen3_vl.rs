//! Qwen3-VL. Its deepstack features are added after the first layers, so they are part of the residuals entering the next ones.
use replay_core::decoder::Sections;
use serde_json::Value;

use super::{Decoder, Family, Head, mrope};

pub(super) static PROFILE: Family = Family {
    architecture: "Qwen3VLForConditionalGeneration",
    text: "/text_config",
    final_norm: "model.language_model.norm.weight",
    head: Head::Plain,
    placeholders: &["/image_token_id"],
    image_tag: "<|vision_start|><|image_pad|><|vision_end|>",
    merge: "/vision_config/spatial_merge_size",
    decoder: Some(&Decoder {
        layers: "model.language_model.layers",
        head_norms: true,
        sections: Sections::Interleaved,
        positions: mrope::positions,
        deepstack: deepstack_layers,
    }),
    least_layers: deepstack,
};

/// Every deepstack feature needs a layer to follow.
fn deepstack(config: &Value) -> usize {
    deepstack_layers(config).max(1)
}

fn deepstack_layers(config: &Value) -> usize {
    config.pointer("/vision_config/deepstack_visual_indexes").and_then(Value::as_array).map_or(3, Vec::len)
}
