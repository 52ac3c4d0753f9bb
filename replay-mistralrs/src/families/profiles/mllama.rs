//! Llama 3.2 Vision. Some layers read the images through cross-attention, so images have no rows in the prompt.
use crate::families::expanded::{ExpandedPrompt, Placeholders, VisualTokens};
use crate::families::family::{COMMON, Family, Head, Norm};
use crate::families::layout::LayoutResult;

pub(super) static PROFILE: Family = Family {
    architecture: "MllamaForConditionalGeneration",
    norm: Norm { weight: "language_model.model.norm.weight", one_plus: false },
    head: Head::Tensor("language_model.lm_head.weight"),
    placeholders: Placeholders::Config(&[]),
    has_visual_rows: false,
    layout: without_rows,
    image_tag: |_, _| "<|image|>".into(),
    encoders: &["vision_model.", "multi_modal_projector."],
    note: "images are read through cross-attention and have no rows: `positions = \"all\"` only",
    ..COMMON
};

fn without_rows(prompt: &ExpandedPrompt<'_>) -> LayoutResult {
    Ok(vec![VisualTokens::default(); prompt.sizes.len()])
}
