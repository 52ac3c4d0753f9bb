//! LLaVA-NeXT: the whole image, then a larger version of it without padding and with a separator after each row. The engine takes one image
//! per prompt.
use super::llava::LLAVA;
use crate::families::expanded::{ExpandedPrompt, VisualTokens};
use crate::families::family::Family;
use crate::families::layout::{LayoutResult, grid};

pub(super) static PROFILE: Family = Family {
    architecture: "LlavaNextForConditionalGeneration",
    layout: whole_and_large,
    encoders: &["vision_tower.", "multi_modal_projector.", "image_newline"],
    note: "the whole image, and a larger version; separators are not ranked",
    ..LLAVA
};

fn whole_and_large(prompt: &ExpandedPrompt<'_>) -> LayoutResult {
    let side = prompt.model.number("/vision_config/image_size")? / prompt.model.number("/vision_config/patch_size")?;
    let image = |(&(start, length), &(width, height)): (&(usize, usize), &(u32, u32))| {
        let rest = length
            .checked_sub(side * side)
            .ok_or_else(|| format!("expected at least {side} x {side} visual tokens, got {length}"))?;
        let (rows, columns) = shape(rest, side, width, height)?;
        let first = start + side * side;
        let large = (0..rows).flat_map(|row| (0..columns).map(move |column| first + row * (columns + 1) + column));
        let positions = (start..first).chain(large).collect();
        Ok(VisualTokens { grids: vec![grid(side, side), grid(rows, columns)], positions })
    };
    prompt.runs.iter().zip(&prompt.sizes).map(image).collect()
}

/// Rows and columns of the larger version. Of all grids with `rows * (columns + 1)` tokens it is the one whose aspect ratio is nearest to the
/// image's. Padding is removed along one side only, so the other side is a whole number of tiles.
fn shape(tokens: usize, side: usize, width: u32, height: u32) -> Result<(usize, usize), String> {
    let has_whole_tiles = |rows: usize| rows.is_multiple_of(side) || (tokens / rows - 1).is_multiple_of(side);
    let divisors =
        (1..=tokens).filter(|rows| tokens.is_multiple_of(*rows) && tokens / rows > 1 && has_whole_tiles(*rows));
    let aspect = (f64::from(width) / f64::from(height)).ln();
    let difference = |rows: usize| (((tokens / rows - 1) as f64 / rows as f64).ln() - aspect).abs();
    let best = divisors.min_by(|a, b| difference(*a).total_cmp(&difference(*b)));
    best.map(|rows| (rows, tokens / rows - 1))
        .ok_or_else(|| format!("{tokens} visual tokens do not form a grid with a separator after each row"))
}
