//! Qwen2.5-VL.
use super::{Family, Head};

pub(super) static PROFILE: Family = Family {
    architecture: "Qwen2_5_VLForConditionalGeneration",
    text: "",
    final_norm: "model.norm.weight",
    head: Head::Plain,
    placeholders: &["/image_token_id"],
    merge: "/vision_config/spatial_merge_size",
    least_layers: |_| 1,
};
