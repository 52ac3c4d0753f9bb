//! Qwen2.5-VL.
use replay_core::decoder::Sections;

use super::{Decoder, Family, Head, mrope};

pub(super) static PROFILE: Family = Family {
    architecture: "Qwen2_5_VLForConditionalGeneration",
    text: "",
    final_norm: "model.norm.weight",
    head: Head::Plain,
    placeholders: &["/image_token_id"],
    image_tag: "<|vision_start|><|image_pad|><|vision_end|>",
    merge: "/vision_config/spatial_merge_size",
    decoder: Some(&Decoder {
        layers: "model.layers",
        head_norms: false,
        sections: Sections::Consecutive,
        positions: mrope::positions,
        deepstack: |_| 0,
    }),
    least_layers: |_| 1,
};
