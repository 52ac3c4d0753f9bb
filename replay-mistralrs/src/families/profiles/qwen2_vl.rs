//! Qwen2-VL.
use replay_core::decoder::Sections;

use crate::families::decoder::DecoderProfile;
use crate::families::expanded::Placeholders;
use crate::families::family::{COMMON, Family, Norm};
use crate::families::{layout, mrope};

pub(super) static PROFILE: Family = Family {
    architecture: "Qwen2VLForConditionalGeneration",
    text: "",
    norm: Norm { weight: "model.norm.weight", one_plus: false },
    placeholders: Placeholders::Config(&[("/image_token_id", None)]),
    layout: layout::patch_grids,
    image_tag: |_, _| "<|vision_start|><|image_pad|><|vision_end|>".into(),
    defaults: &[("rms_norm_eps", 1e-6)],
    decoder: Some(&DecoderProfile {
        layers: "model.layers",
        head_norms: false,
        sections: Some(Sections::Consecutive),
        scales: false,
        positions: mrope::positions,
        deepstack: |_| 0,
    }),
    encoders: &["visual."],
    max_ratio: Some(200),
    ..COMMON
};
