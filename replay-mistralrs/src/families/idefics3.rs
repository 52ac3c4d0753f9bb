//! Idefics 3 and SmolVLM: an image is cut into tiles, and comes once more as a whole.
use super::layout::{Images, pieces, square, up_to};
use super::{Decoder, Expanded, Family, Norm, Placeholders, USUAL, decoder};

pub(super) static PROFILE: Family = Family {
    architecture: "Idefics3ForConditionalGeneration",
    norm: Norm { weight: "model.text_model.norm.weight", one_plus: false },
    placeholders: Placeholders::Config(&[("/image_token_id", None)]),
    layout: tiles,
    image_tag: |_, _| "<image>".into(),
    decoder: Some(&Decoder { scales: true, ..decoder::plain("model.text_model.layers") }),
    encoders: &["model.vision_model.", "model.connector."],
    note: "tiles, then the whole image; marks are text",
    ..USUAL
};

/// The whole comes last, after a mark of its own, which is one token or several, by the tokenizer: what stands between the border and the
/// last image of a prompt.
fn tiles(prompt: &Expanded<'_>) -> Images {
    let border = prompt.model.token("<fake_token_around_image>")?;
    let mark = |start: usize| prompt.tokens[..start].rsplit(|token| *token == border).next();
    let whole = prompt.runs.last().and_then(|run| mark(run.0));
    let is_last = |&(start, _): &(usize, usize)| mark(start) == whole;
    up_to(prompt, is_last).map(|runs| pieces(runs, square)).collect()
}
