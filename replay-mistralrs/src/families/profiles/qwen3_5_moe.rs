//! Qwen3.5 with a mixture of experts.
use super::qwen3_5;
use crate::families::expanded::Placeholders;
use crate::families::family::{COMMON, Family, Norm};
use crate::families::layout;

pub(super) static PROFILE: Family = Family {
    architecture: "Qwen3_5MoeForConditionalGeneration",
    norm: Norm { weight: "model.language_model.norm.weight", one_plus: true },
    placeholders: Placeholders::Config(&[("/image_token_id", None)]),
    layout: layout::patch_grids,
    image_tag: |_, _| "<|vision_start|><|image_pad|><|vision_end|>".into(),
    min_layers: qwen3_5::attention_interval,
    encoders: &["model.visual."],
    note: "as Qwen3.5; a small change may send a row to other experts",
    max_ratio: Some(200),
    ..COMMON
};
