//! MiniCPM-o: an image, then its slices; a resampler gathers each into a few tokens.
use super::layout::{Images, pieces, unplaced};
use super::{Expanded, Family, Norm, Placeholders, USUAL, decoder};

pub(super) static PROFILE: Family = Family {
    architecture: "MiniCPMO",
    text: "",
    norm: Norm { weight: "llm.model.norm.weight", one_plus: false },
    placeholders: Placeholders::Named("<unk>"),
    layout: slices,
    image_tag: |_, _| "(<image>./</image>)".into(),
    decoder: Some(&decoder::plain("llm.model.layers")),
    encoders: &["vpm.", "resampler."],
    note: "tokens of a resampler, which have no place in the image; slices are pieces",
    ..USUAL
};

/// Every image begins with the whole; slices have another mark before them, and what has neither is text.
fn slices(prompt: &Expanded<'_>) -> Images {
    let (whole, slice) = (prompt.model.token("<image>")?, prompt.model.token("<slice>")?);
    let mark = |run: &(usize, usize)| run.0.checked_sub(1).map(|before| prompt.tokens[before]);
    let runs: Vec<_> =
        prompt.runs.iter().copied().filter(|run| [Some(whole), Some(slice)].contains(&mark(run))).collect();
    runs.chunk_by(|_, next| mark(next) == Some(slice)).map(|runs| pieces(runs, unplaced)).collect()
}
