//! Qwen3-VL with a mixture of experts.
use super::qwen3_vl;
use crate::families::expanded::Placeholders;
use crate::families::family::{COMMON, Family, Norm};
use crate::families::layout;

pub(super) static PROFILE: Family = Family {
    architecture: "Qwen3VLMoeForConditionalGeneration",
    norm: Norm { weight: "model.language_model.norm.weight", one_plus: false },
    placeholders: Placeholders::Config(&[("/image_token_id", None)]),
    layout: layout::patch_grids,
    image_tag: |_, _| "<|vision_start|><|image_pad|><|vision_end|>".into(),
    min_layers: qwen3_vl::min_layers,
    encoders: &["model.visual."],
    note: "as Qwen3-VL; a small change may send a row to other experts",
    max_ratio: Some(200),
    ..COMMON
};
