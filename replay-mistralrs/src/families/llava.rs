//! LLaVA 1.5. One image a prompt.
use super::layout::{Images, evenly, pieces, square};
use super::{Expanded, Family, Norm, Placeholders, USUAL};

pub(super) static PROFILE: Family = Family {
    architecture: "LlavaForConditionalGeneration",
    layout: squares,
    encoders: &["vision_tower.", "multi_modal_projector."],
    ..LLAVA
};

/// What LLaVA 1.5 and LLaVA-NeXT have in common.
pub(super) const LLAVA: Family = Family {
    norm: Norm { weight: "language_model.model.norm.weight", one_plus: false },
    placeholders: Placeholders::Recorded,
    image_tag: |_, _| "<image>".into(),
    defaults: &[
        ("hidden_size", 4096.0),
        ("num_hidden_layers", 32.0),
        ("num_attention_heads", 32.0),
        ("num_key_value_heads", 32.0),
        ("vocab_size", 32_064.0),
    ],
    one_image: true,
    ..USUAL
};

fn squares(prompt: &Expanded<'_>) -> Images {
    evenly(prompt)?.map(|runs| pieces(runs, square)).collect()
}
