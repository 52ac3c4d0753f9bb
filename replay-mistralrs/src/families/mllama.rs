//! Llama 3.2 Vision. Its text attends to images from the side, in a few layers: an image has no rows in the prompt.
use super::layout::Images;
use super::{Expanded, Family, Found, Head, Norm, Placeholders, USUAL};

pub(super) static PROFILE: Family = Family {
    architecture: "MllamaForConditionalGeneration",
    norm: Norm { weight: "language_model.model.norm.weight", one_plus: false },
    head: Head::Tensor("language_model.lm_head.weight"),
    placeholders: Placeholders::Config(&[]),
    has_visual_rows: false,
    layout: none,
    image_tag: |_, _| "<|image|>".into(),
    encoders: &["vision_model.", "multi_modal_projector."],
    note: "images are attended to from the side and have no rows: `positions = \"all\"` only",
    ..USUAL
};

fn none(prompt: &Expanded<'_>) -> Images {
    Ok(vec![Found::default(); prompt.sizes.len()])
}
