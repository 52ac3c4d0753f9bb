//! Qwen3.5: most layers are recurrent (gated delta rule), and every few layers there is one with attention.
use serde_json::Value;

use crate::families::expanded::Placeholders;
use crate::families::family::{COMMON, Family, Norm};
use crate::families::layout;

pub(super) static PROFILE: Family = Family {
    architecture: "Qwen3_5ForConditionalGeneration",
    norm: Norm { weight: "model.language_model.norm.weight", one_plus: true },
    placeholders: Placeholders::Config(&[("/image_token_id", None)]),
    layout: layout::patch_grids,
    image_tag: |_, _| "<|vision_start|><|image_pad|><|vision_end|>".into(),
    min_layers: attention_interval,
    encoders: &["model.visual."],
    note: "most layers are recurrent: a replaced row changes the state that all later rows read",
    max_ratio: Some(200),
    ..COMMON
};

/// The engine needs at least one layer with attention.
pub(super) fn attention_interval(config: &Value) -> usize {
    let interval = config.pointer("/text_config/full_attention_interval").and_then(Value::as_u64);
    interval.map_or(4, |interval| interval as usize)
}
