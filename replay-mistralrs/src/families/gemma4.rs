//! Gemma 4. Per-layer inputs, where a size has them, are made once from the embeddings and enter every layer from the side: replay leaves them alone.
use replay_core::Grid;
use serde_json::{Map, Value};

use super::layout::{Images, grid};
use super::{Expanded, Family, Found, Head, Norm, Placeholders, USUAL, Video};

pub(super) static PROFILE: Family = Family {
    architecture: "Gemma4ForConditionalGeneration",
    norm: Norm { weight: "model.language_model.norm.weight", one_plus: false },
    head: Head::Tied("model.language_model.embed_tokens.weight"),
    soft_cap: Some("final_logit_softcapping"),
    placeholders: Placeholders::Config(&[("/image_token_id", Some(258_880))]),
    layout: cells,
    video: Some(Video { placeholder: 258_884, layout: frames }),
    image_tag: |_, _| "<|image|>".into(),
    defaults: &[("vocab_size", 262_144.0)],
    least_layers,
    shorten,
    reading_layers,
    encoders: &["model.vision_tower.", "model.embed_vision.", "model.audio_tower.", "model.embed_audio."],
    note: "frames of a video are laid out like smaller images; per-layer inputs, where a size has them, come from the side and stay the RLVR model's, and the base is loaded whole; the last layers share keys and values of earlier ones",
    ..USUAL
};

fn cells(prompt: &Expanded<'_>) -> Images {
    let most = prompt.model.number("/vision_config/default_output_length").unwrap_or(280);
    let image = |(&(start, length), &size): (&(usize, usize), &(u32, u32))| {
        let (rows, columns) = shape(prompt, size, most);
        check(rows * columns, length)?;
        Ok(Found { grids: vec![grid(rows, columns)], positions: (start..start + length).collect() })
    };
    prompt.runs.iter().zip(&prompt.sizes).map(image).collect()
}

/// Each frame is laid out like an image of fewer cells, and stands after its time; all like the first.
fn frames(prompt: &Expanded<'_>) -> Images {
    let most = prompt.model.processor["video_max_soft_tokens"].as_u64().map_or(70, |most| most as usize);
    let mut runs = prompt.frames.iter();
    let video = |&(frames, size): &(usize, (u32, u32))| {
        let (rows, columns) = shape(prompt, size, most);
        let mut positions = Vec::with_capacity(frames * rows * columns);
        for &(start, length) in runs.by_ref().take(frames) {
            check(rows * columns, length)?;
            positions.extend(start..start + length);
        }
        Ok(Found { grids: vec![Grid { frames, rows, columns }], positions })
    };
    prompt.videos.iter().map(video).collect()
}

fn check(cells: usize, tokens: usize) -> Result<(), String> {
    if cells == tokens {
        Ok(())
    } else {
        Err(format!("{cells} cells of an image or a frame have {tokens} visual tokens"))
    }
}

/// An image keeps its sides' ratio in a number of cells that is limited as a whole. Rows and columns.
fn shape(prompt: &Expanded<'_>, (width, height): (u32, u32), most: usize) -> (usize, usize) {
    let number = |name: &str, default| prompt.model.number(&format!("/vision_config/{name}")).unwrap_or(default);
    let unit = number("pooling_kernel_size", 3) * number("patch_size", 16);
    let (width, height) = (f64::from(width), f64::from(height));
    let scale = ((most * unit * unit) as f64 / (width * height)).sqrt();
    let cells = |side: f64| (side * scale / unit as f64).floor() as usize;
    let longest = |long: f64, short: f64| ((long / short) as usize).clamp(1, most);
    match (cells(height), cells(width)) {
        (0, _) => (1, longest(width, height)),
        (_, 0) => (longest(height, width), 1),
        shape => shape,
    }
}

fn text_number(config: &Value, name: &str) -> usize {
    config.pointer("/text_config").and_then(|text| text.get(name)).and_then(Value::as_u64).unwrap_or(0) as usize
}

/// The tensors of per-layer inputs have the number of layers in their shapes, so such a model is loaded whole.
fn least_layers(config: &Value) -> usize {
    let whole = text_number(config, "num_hidden_layers");
    if text_number(config, "hidden_size_per_layer_input") > 0 { whole } else { 1 }
}

/// The last layers take keys and values of earlier ones.
pub(super) fn reading_layers(config: &Value, layers: usize) -> usize {
    layers - text_number(config, "num_kv_shared_layers").min(layers)
}

/// Layers that share keys and values are counted from the end.
fn shorten(text: &mut Map<String, Value>, layers: usize) {
    let number = |text: &Map<String, Value>, name: &str| text.get(name).and_then(Value::as_u64).unwrap_or(0) as usize;
    let all = text.get("layer_types").and_then(Value::as_array).map_or(layers, Vec::len);
    let first_shared = all - number(text, "num_kv_shared_layers").min(all);
    text.insert("num_kv_shared_layers".into(), layers.saturating_sub(first_shared).into());
}
