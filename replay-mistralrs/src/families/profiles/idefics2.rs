//! Idefics 2: an image is split into four crops followed by the whole image; a resampler turns each into a fixed number of tokens.
use serde_json::Value;

use crate::families::decoder;
use crate::families::expanded::{ExpandedPrompt, Placeholders};
use crate::families::family::{COMMON, Family, Norm};
use crate::families::layout::{LayoutResult, runs_per_image, tokens_of_pieces, unplaced_grid};
use crate::families::metadata::ModelMetadata;

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
    decoder: Some(&decoder::llama_like("model.text_model.model.layers")),
    encoders: &["model.vision_model.", "model.connector."],
    note: "tokens of a resampler, which have no place in the image",
    ..COMMON
};

fn latents(prompt: &ExpandedPrompt<'_>) -> LayoutResult {
    runs_per_image(prompt)?.map(|runs| tokens_of_pieces(runs, unplaced_grid)).collect()
}

/// This family's images are expanded in the text, before tokenization, so the tag holds all placeholder tokens.
fn tag(model: &ModelMetadata, _: usize) -> String {
    const BORDER: &str = "<fake_token_around_image>";
    let latents = model.number("/perceiver_config/resampler_n_latents").unwrap_or(64);
    let pieces = if model.preprocessor["do_image_splitting"] == Value::Bool(true) { 5 } else { 1 };
    format!("{BORDER}{}", format!("{}{BORDER}", "<image>".repeat(latents)).repeat(pieces))
}
