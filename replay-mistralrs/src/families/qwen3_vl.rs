//! Qwen3-VL. Its deepstack features are added after the first layers, so they are part of the residuals entering the next ones.
use replay_core::decoder::Sections;
use serde_json::Value;

use super::{Decoder, Family, Norm, Placeholders, USUAL, layout, mrope};

pub(super) static PROFILE: Family = Family {
    architecture: "Qwen3VLForConditionalGeneration",
    norm: Norm { weight: "model.language_model.norm.weight", one_plus: false },
    placeholders: Placeholders::Config(&[("/image_token_id", None)]),
    layout: layout::patches,
    image_tag: |_, _| "<|vision_start|><|image_pad|><|vision_end|>".into(),
    defaults: &[("rms_norm_eps", 1e-6)],
    decoder: Some(&Decoder {
        layers: "model.language_model.layers",
        head_norms: true,
        sections: Some(Sections::Interleaved),
        scales: false,
        positions: mrope::positions,
        deepstack: deepstack_layers,
    }),
    least_layers: deepstack,
    encoders: &["model.visual."],
    note: "visual features are added after the first layers too (deepstack): residuals after them hold them",
    ..USUAL
};

/// Every deepstack feature needs a layer to follow.
pub(super) fn deepstack(config: &Value) -> usize {
    deepstack_layers(config).max(1)
}

fn deepstack_layers(config: &Value) -> usize {
    config.pointer("/vision_config/deepstack_visual_indexes").and_then(Value::as_array).map_or(3, Vec::len)
}
