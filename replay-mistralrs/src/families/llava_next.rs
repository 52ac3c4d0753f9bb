//! LLaVA-NeXT: the whole image, then a larger version without its padding, a separator after each row. One image a prompt.
use super::layout::{Images, grid};
use super::llava::LLAVA;
use super::{Expanded, Family, Found};

pub(super) static PROFILE: Family = Family {
    architecture: "LlavaNextForConditionalGeneration",
    layout: whole_and_large,
    encoders: &["vision_tower.", "multi_modal_projector.", "image_newline"],
    note: "the whole image, and a larger version; separators are not ranked",
    ..LLAVA
};

fn whole_and_large(prompt: &Expanded<'_>) -> Images {
    let side = prompt.model.number("/vision_config/image_size")? / prompt.model.number("/vision_config/patch_size")?;
    let image = |(&(start, length), &(width, height)): (&(usize, usize), &(u32, u32))| {
        let rest = length
            .checked_sub(side * side)
            .ok_or_else(|| format!("{length} visual tokens are fewer than {side} x {side}"))?;
        let (rows, columns) = shape(rest, side, width, height)?;
        let first = start + side * side;
        let large = (0..rows).flat_map(|row| (0..columns).map(move |column| first + row * (columns + 1) + column));
        let positions = (start..first).chain(large).collect();
        Ok(Found { grids: vec![grid(side, side), grid(rows, columns)], positions })
    };
    prompt.runs.iter().zip(&prompt.sizes).map(image).collect()
}

/// Rows and columns with `rows (columns + 1)` tokens in all whose sides are nearest to the image's. Padding was cut off on one side, so the
/// other is still so many whole tiles.
fn shape(tokens: usize, side: usize, width: u32, height: u32) -> Result<(usize, usize), String> {
    let tiles = |rows: usize| rows.is_multiple_of(side) || (tokens / rows - 1).is_multiple_of(side);
    let divisors = (1..=tokens).filter(|rows| tokens.is_multiple_of(*rows) && tokens / rows > 1 && tiles(*rows));
    let aspect = (f64::from(width) / f64::from(height)).ln();
    let off = |rows: usize| (((tokens / rows - 1) as f64 / rows as f64).ln() - aspect).abs();
    let best = divisors.min_by(|a, b| off(*a).total_cmp(&off(*b)));
    best.map(|rows| (rows, tokens / rows - 1))
        .ok_or_else(|| format!("{tokens} visual tokens are no grid with separators"))
}
