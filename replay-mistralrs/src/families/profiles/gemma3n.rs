//! Gemma 3n. The residual of a position has several streams, which every layer mixes (AltUp); a row holds all of them. Per-layer inputs are
//! computed once from the embeddings and added in every layer; replay does not change them.
use super::gemma4::reading_layers;
use crate::families::expanded::{ExpandedPrompt, Placeholders};
use crate::families::family::{COMMON, Family, Norm};
use crate::families::layout::{LayoutResult, square_grid, tokens_of_pieces};

pub(super) static PROFILE: Family = Family {
    architecture: "Gemma3nForConditionalGeneration",
    norm: Norm { weight: "model.language_model.norm.weight", one_plus: false },
    soft_cap: Some("final_logit_softcapping"),
    placeholders: Placeholders::Fixed(262_145),
    layout: squares,
    image_tag: |_, _| "<image_soft_token>".into(),
    streams: Some("altup_num_inputs"),
    defaults: &[("vocab_size", 262_208.0)],
    // The shapes of the per-layer input tensors contain the number of layers, so the model is loaded whole.
    min_layers: |config| PROFILE.size(config, "num_hidden_layers").unwrap_or(1),
    reading_layers,
    encoders: &["model.vision_tower.", "model.embed_vision.", "model.audio_tower.", "model.embed_audio."],
    note: "a row holds the position's four streams (AltUp), which are ranked by their common prediction and replaced together; per-layer \
           inputs stay the RLVR model's, and the base is loaded whole; the last layers share keys and values of earlier ones",
    ..COMMON
};

/// The engine resizes each image to a square.
fn squares(prompt: &ExpandedPrompt<'_>) -> LayoutResult {
    prompt.runs.iter().map(|run| tokens_of_pieces([run], square_grid)).collect()
}
