//! Gemma 4. Some sizes have per-layer inputs, which are computed once from the embeddings and added in every layer; replay does not change
//! them.
use replay_core::Grid;
use serde_json::{Map, Value};

use crate::families::expanded::{ExpandedPrompt, Placeholders, VisualTokens};
use crate::families::family::{COMMON, Family, Head, Norm, Video};
use crate::families::layout::{LayoutResult, grid};

pub(super) static PROFILE: Family = Family {
    architecture: "Gemma4ForConditionalGeneration",
    norm: Norm { weight: "model.language_model.norm.weight", one_plus: false },
    head: Head::Tied("model.language_model.embed_tokens.weight"),
    soft_cap: Some("final_logit_softcapping"),
    placeholders: Placeholders::Config(&[("/image_token_id", Some(258_880))]),
    layout: image_cells,
    video: Some(Video { placeholder: 258_884, layout: video_cells }),
    image_tag: |_, _| "<|image|>".into(),
    defaults: &[("vocab_size", 262_144.0)],
    min_layers,
    shorten,
    reading_layers,
    encoders: &["model.vision_tower.", "model.embed_vision.", "model.audio_tower.", "model.embed_audio."],
    note: "frames of a video are laid out like smaller images; per-layer inputs, where a size has them, stay the RLVR model's, and the base is loaded whole; the last layers share keys and values of earlier ones",
    ..COMMON
};

fn image_cells(prompt: &ExpandedPrompt<'_>) -> LayoutResult {
    let max_cells = prompt.model.number("/vision_config/default_output_length").unwrap_or(280);
    let image = |(&(start, length), &size): (&(usize, usize), &(u32, u32))| {
        let (rows, columns) = shape(prompt, size, max_cells);
        check_count(rows * columns, length)?;
        Ok(VisualTokens { grids: vec![grid(rows, columns)], positions: (start..start + length).collect() })
    };
    prompt.runs.iter().zip(&prompt.sizes).map(image).collect()
}

/// Each frame is laid out like an image with fewer cells, after its timestamp. All frames of a video have the shape of the first.
fn video_cells(prompt: &ExpandedPrompt<'_>) -> LayoutResult {
    let max_cells = prompt.model.processor["video_max_soft_tokens"].as_u64().map_or(70, |cells| cells as usize);
    let mut runs = prompt.frames.iter();
    let video = |&(frames, size): &(usize, (u32, u32))| {
        let (rows, columns) = shape(prompt, size, max_cells);
        let mut positions = Vec::with_capacity(frames * rows * columns);
        for &(start, length) in runs.by_ref().take(frames) {
            check_count(rows * columns, length)?;
            positions.extend(start..start + length);
        }
        Ok(VisualTokens { grids: vec![Grid { frames, rows, columns }], positions })
    };
    prompt.videos.iter().map(video).collect()
}

fn check_count(cells: usize, tokens: usize) -> Result<(), String> {
    if cells == tokens {
        Ok(())
    } else {
        Err(format!("expected {cells} visual tokens, one per cell of an image or frame, got {tokens}"))
    }
}

/// Rows and columns of an image's cells: the largest grid of at most `max_cells` cells that keeps the aspect ratio.
fn shape(prompt: &ExpandedPrompt<'_>, (width, height): (u32, u32), max_cells: usize) -> (usize, usize) {
    let number = |name: &str, default| prompt.model.number(&format!("/vision_config/{name}")).unwrap_or(default);
    let unit = number("pooling_kernel_size", 3) * number("patch_size", 16);
    let (width, height) = (f64::from(width), f64::from(height));
    let scale = ((max_cells * unit * unit) as f64 / (width * height)).sqrt();
    let cells = |side: f64| (side * scale / unit as f64).floor() as usize;
    let longest = |long: f64, short: f64| ((long / short) as usize).clamp(1, max_cells);
    match (cells(height), cells(width)) {
        (0, _) => (1, longest(width, height)),
        (_, 0) => (longest(height, width), 1),
        shape => shape,
    }
}

fn text_number(config: &Value, name: &str) -> usize {
    config.pointer("/text_config").and_then(|text| text.get(name)).and_then(Value::as_u64).unwrap_or(0) as usize
}

/// A model with per-layer inputs is loaded whole, since the shapes of their tensors contain the number of layers.
fn min_layers(config: &Value) -> usize {
    let whole = text_number(config, "num_hidden_layers");
    if text_number(config, "hidden_size_per_layer_input") > 0 { whole } else { 1 }
}

/// The last `num_kv_shared_layers` layers reuse keys and values of earlier layers.
pub(super) fn reading_layers(config: &Value, layers: usize) -> usize {
    layers - text_number(config, "num_kv_shared_layers").min(layers)
}

/// Adjusts `num_kv_shared_layers`, which counts from the last layer.
fn shorten(text: &mut Map<String, Value>, layers: usize) {
    let number = |text: &Map<String, Value>, name: &str| text.get(name).and_then(Value::as_u64).unwrap_or(0) as usize;
    let total = text.get("layer_types").and_then(Value::as_array).map_or(layers, Vec::len);
    let first_shared = total - number(text, "num_kv_shared_layers").min(total);
    text.insert("num_kv_shared_layers".into(), layers.saturating_sub(first_shared).into());
}
