//! LLaVA 1.5. The engine takes one image per prompt.
use crate::families::expanded::{ExpandedPrompt, Placeholders};
use crate::families::family::{COMMON, Family, Norm};
use crate::families::layout::{LayoutResult, runs_per_image, square_grid, tokens_of_pieces};

pub(super) static PROFILE: Family = Family {
    architecture: "LlavaForConditionalGeneration",
    layout: squares,
    encoders: &["vision_tower.", "multi_modal_projector."],
    ..LLAVA
};

/// The fields that LLaVA 1.5 and LLaVA-NeXT have in common.
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
    ..COMMON
};

fn squares(prompt: &ExpandedPrompt<'_>) -> LayoutResult {
    runs_per_image(prompt)?.map(|runs| tokens_of_pieces(runs, square_grid)).collect()
}
