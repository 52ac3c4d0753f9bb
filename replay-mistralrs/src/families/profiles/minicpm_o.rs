//! MiniCPM-o: the whole image, then its slices; a resampler turns each into a fixed number of tokens.
use crate::families::decoder;
use crate::families::expanded::{ExpandedPrompt, Placeholders};
use crate::families::family::{COMMON, Family, Norm};
use crate::families::layout::{LayoutResult, tokens_of_pieces, unplaced_grid};

pub(super) static PROFILE: Family = Family {
    architecture: "MiniCPMO",
    text: "",
    norm: Norm { weight: "llm.model.norm.weight", one_plus: false },
    placeholders: Placeholders::Named("<unk>"),
    layout: slices,
    image_tag: |_, _| "(<image>./</image>)".into(),
    decoder: Some(&decoder::llama_like("llm.model.layers")),
    encoders: &["vpm.", "resampler."],
    note: "tokens of a resampler, which have no place in the image; slices are pieces",
    ..COMMON
};

/// A marker token precedes each run: one kind for the whole image, which comes first, another for its slices. A run without a marker is
/// text.
fn slices(prompt: &ExpandedPrompt<'_>) -> LayoutResult {
    let (whole, slice) = (prompt.model.token("<image>")?, prompt.model.token("<slice>")?);
    let marker = |run: &(usize, usize)| run.0.checked_sub(1).map(|before| prompt.tokens[before]);
    let runs: Vec<_> =
        prompt.runs.iter().copied().filter(|run| [Some(whole), Some(slice)].contains(&marker(run))).collect();
    runs.chunk_by(|_, next| marker(next) == Some(slice)).map(|runs| tokens_of_pieces(runs, unplaced_grid)).collect()
}
