//! Qwen3-VL. Visual features are added to the outputs of the first layers (deepstack), so the residuals entering the next layers contain them.
use replay_core::decoder::Sections;
use serde_json::Value;

use crate::families::decoder::DecoderProfile;
use crate::families::expanded::Placeholders;
use crate::families::family::{COMMON, Family, Norm};
use crate::families::{layout, mrope};

pub(super) static PROFILE: Family = Family {
    architecture: "Qwen3VLForConditionalGeneration",
    norm: Norm { weight: "model.language_model.norm.weight", one_plus: false },
    placeholders: Placeholders::Config(&[("/image_token_id", None)]),
    layout: layout::patch_grids,
    image_tag: |_, _| "<|vision_start|><|image_pad|><|vision_end|>".into(),
    defaults: &[("rms_norm_eps", 1e-6)],
    decoder: Some(&DecoderProfile {
        layers: "model.language_model.layers",
        head_norms: true,
        sections: Some(Sections::Interleaved),
        scales: false,
        positions: mrope::positions,
        deepstack: deepstack_layers,
    }),
    min_layers,
    encoders: &["model.visual."],
    note: "visual features are added after the first layers too (deepstack): residuals after them hold them",
    max_ratio: Some(200),
    ..COMMON
};

/// The smallest number of layers that can be loaded: one for each set of deepstack features.
pub(super) fn min_layers(config: &Value) -> usize {
    deepstack_layers(config).max(1)
}

fn deepstack_layers(config: &Value) -> usize {
    config.pointer("/vision_config/deepstack_visual_indexes").and_then(Value::as_array).map_or(3, Vec::len)
}
