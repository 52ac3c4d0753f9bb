//! Idefics 2: an image is cut into four, and comes once more as a whole; a resampler gathers each into a few tokens.
use serde_json::Value;

use super::layout::{Images, evenly, pieces, unplaced};
use super::{Expanded, Family, Labels, Norm, Placeholders, USUAL, decoder};

pub(super) static PROFILE: Family = Family {
    architecture: "Idefics2ForConditionalGeneration",
    norm: Norm { weight: "model.text_model.model.norm.weight", one_plus: false },
    placeholders: Placeholders::Config(&[("/image_token_id", Some(32_001))]),
    layout: latents,
    image_tag: tag,
    defaults: &[
        ("hidden_size", 4096.0),
        ("num_hidden_layers", 32.0),
        ("num_attention_heads", 32.0),
        ("num_key_value_heads", 8.0),
        ("vocab_size", 32_000.0),
        ("sliding_window", 4096.0),
        ("rope_theta", 10_000.0),
    ],
    decoder: Some(&decoder::plain("model.text_model.model.layers")),
    encoders: &["model.vision_model.", "model.connector."],
    note: "tokens of a resampler, which have no place in the image",
    ..USUAL
};

fn latents(prompt: &Expanded<'_>) -> Images {
    evenly(prompt)?.map(|runs| pieces(runs, unplaced)).collect()
}

/// The engine expands this family's images in the chat template's text, before there are tokens.
fn tag(model: &Labels, _: usize) -> String {
    const BORDER: &str = "<fake_token_around_image>";
    let latents = model.number("/perceiver_config/resampler_n_latents").unwrap_or(64);
    let pieces = if model.preprocessor["do_image_splitting"] == Value::Bool(true) { 5 } else { 1 };
    format!("{BORDER}{}", format!("{}{BORDER}", "<image>".repeat(latents)).repeat(pieces))
}
