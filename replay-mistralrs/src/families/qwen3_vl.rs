//! Qwen3-VL. Its deepstack features are added after the first layers, so they are part of the residuals entering the next ones.
use serde_json::Value;

use super::{Family, Head};

pub(super) static PROFILE: Family = Family {
    architecture: "Qwen3VLForConditionalGeneration",
    text: "/text_config",
    final_norm: "model.language_model.norm.weight",
    head: Head::Plain,
    placeholders: &["/image_token_id"],
    merge: "/vision_config/spatial_merge_size",
    least_layers: deepstack,
};

/// Every deepstack feature needs a layer to follow.
fn deepstack(config: &Value) -> usize {
    config.pointer("/vision_config/deepstack_visual_indexes").and_then(Value::as_array).map_or(3, Vec::len).max(1)
}
