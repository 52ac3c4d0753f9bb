//! Idefics 3 and SmolVLM: an image is split into tiles, followed by the whole image.
use crate::families::decoder;
use crate::families::decoder::DecoderProfile;
use crate::families::expanded::{ExpandedPrompt, Placeholders};
use crate::families::family::{COMMON, Family, Norm};
use crate::families::layout::{LayoutResult, split_after, square_grid, tokens_of_pieces};

pub(super) static PROFILE: Family = Family {
    architecture: "Idefics3ForConditionalGeneration",
    norm: Norm { weight: "model.text_model.norm.weight", one_plus: false },
    placeholders: Placeholders::Config(&[("/image_token_id", None)]),
    layout: tiles,
    image_tag: |_, _| "<image>".into(),
    decoder: Some(&DecoderProfile { scales: true, ..decoder::llama_like("model.text_model.layers") }),
    encoders: &["model.vision_model.", "model.connector."],
    note: "tiles, then the whole image; marks are text",
    ..COMMON
};

/// The whole image comes last and has a marker of its own, of one or several tokens depending on the tokenizer. The marker is read from the
/// last image of the prompt: it is what stands between the border token and the run.
fn tiles(prompt: &ExpandedPrompt<'_>) -> LayoutResult {
    let border = prompt.model.token("<fake_token_around_image>")?;
    let marker = |start: usize| prompt.tokens[..start].rsplit(|token| *token == border).next();
    let whole = prompt.runs.last().and_then(|run| marker(run.0));
    let is_last = |&(start, _): &(usize, usize)| marker(start) == whole;
    split_after(prompt, is_last).map(|runs| tokens_of_pieces(runs, square_grid)).collect()
}
