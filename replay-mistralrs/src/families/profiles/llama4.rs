//! Llama 4: an image is split into tiles, followed by the whole image.
use crate::families::expanded::{ExpandedPrompt, Placeholders};
use crate::families::family::{COMMON, Family, Norm};
use crate::families::layout::{LayoutResult, split_after, square_grid, tokens_of_pieces};

pub(super) static PROFILE: Family = Family {
    architecture: "Llama4ForConditionalGeneration",
    norm: Norm { weight: "language_model.model.norm.weight", one_plus: false },
    placeholders: Placeholders::Config(&[("/image_token_index", None)]),
    layout: tiles,
    image_tag: |_, _| "<|image|>".into(),
    encoders: &["vision_model.", "multi_modal_projector."],
    note: "tiles, then the whole image; separators are text; most layers attend within a chunk of the prompt",
    ..COMMON
};

/// The tiles come row by row, then the whole image, then the token `<|image_end|>`.
fn tiles(prompt: &ExpandedPrompt<'_>) -> LayoutResult {
    let end = prompt.model.token("<|image_end|>")?;
    let is_last = |&(start, length): &(usize, usize)| prompt.tokens.get(start + length) == Some(&end);
    split_after(prompt, is_last).map(|runs| tokens_of_pieces(runs, square_grid)).collect()
}
