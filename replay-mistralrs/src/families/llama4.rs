//! Llama 4: an image is cut into tiles, and comes once more as a whole.
use super::layout::{Images, pieces, square, up_to};
use super::{Expanded, Family, Norm, Placeholders, USUAL};

pub(super) static PROFILE: Family = Family {
    architecture: "Llama4ForConditionalGeneration",
    norm: Norm { weight: "language_model.model.norm.weight", one_plus: false },
    placeholders: Placeholders::Config(&[("/image_token_index", None)]),
    layout: tiles,
    image_tag: |_, _| "<|image|>".into(),
    encoders: &["vision_model.", "multi_modal_projector."],
    note: "tiles, then the whole image; separators are text; most layers attend within a chunk of the prompt",
    ..USUAL
};

/// Tiles row by row, then the whole, then the end of the image.
fn tiles(prompt: &Expanded<'_>) -> Images {
    let end = prompt.model.token("<|image_end|>")?;
    let is_last = |&(start, length): &(usize, usize)| prompt.tokens.get(start + length) == Some(&end);
    up_to(prompt, is_last).map(|runs| pieces(runs, square)).collect()
}
