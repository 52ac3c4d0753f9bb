//! Gemma 3n. A position has several streams, which every layer mixes (AltUp): a row holds all of them. Per-layer inputs are made once
//! from the embeddings and enter every layer from the side: replay leaves them alone.
use super::gemma4::reading_layers;
use super::layout::{Images, pieces, square};
use super::{Expanded, Family, Norm, Placeholders, USUAL};

pub(super) static PROFILE: Family = Family {
    architecture: "Gemma3nForConditionalGeneration",
    norm: Norm { weight: "model.language_model.norm.weight", one_plus: false },
    soft_cap: Some("final_logit_softcapping"),
    placeholders: Placeholders::Fixed(262_145),
    layout: squares,
    image_tag: |_, _| "<image_soft_token>".into(),
    streams: Some("altup_num_inputs"),
    defaults: &[("vocab_size", 262_208.0)],
    // The tensors of per-layer inputs have the number of layers in their shapes.
    least_layers: |config| PROFILE.size(config, "num_hidden_layers").unwrap_or(1),
    reading_layers,
    encoders: &["model.vision_tower.", "model.embed_vision.", "model.audio_tower.", "model.embed_audio."],
    note: "a row holds the position's four streams (AltUp), which are ranked by their common prediction and replaced together; per-layer \
           inputs stay the RLVR model's, and the base is loaded whole; the last layers share keys and values of earlier ones",
    ..USUAL
};

/// An image is squeezed into a square.
fn squares(prompt: &Expanded<'_>) -> Images {
    prompt.runs.iter().map(|run| pieces([run], square)).collect()
}
