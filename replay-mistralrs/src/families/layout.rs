//! How visual tokens are laid out, where several families do it alike.
use replay_core::Grid;

use super::{Expanded, Found};

pub(super) type Images = Result<Vec<Found>, String>;

/// Grid of one image.
pub(super) fn grid(rows: usize, columns: usize) -> Grid {
    Grid { frames: 1, rows, columns }
}

/// The processor says how many patches an image has; `spatial_merge_size` of the vision table become one token per side.
pub(super) fn patches(prompt: &Expanded<'_>) -> Images {
    let merge = prompt.model.number("/vision_config/spatial_merge_size").unwrap_or(2);
    if prompt.patches.len() != prompt.sizes.len() {
        return Err(format!("{} images and {} image grids", prompt.sizes.len(), prompt.patches.len()));
    }
    let mut positions = prompt.runs.iter().flat_map(|&(start, length)| start..start + length);
    let image = |patches: &Vec<u32>| match patches[..] {
        [frames, rows, columns] => {
            let merged = |patches: u32| patches as usize / merge;
            let grid = Grid { frames: frames as usize, rows: merged(rows), columns: merged(columns) };
            Ok(Found { grids: vec![grid], positions: positions.by_ref().take(grid.tokens()).collect() })
        }
        _ => Err(format!("an image grid of {patches:?} patches")),
    };
    let found = prompt.patches.iter().map(image).collect::<Result<Vec<_>, _>>()?;
    match positions.count() {
        0 => Ok(found),
        more => Err(format!("{more} placeholder tokens more than the images of the prompt have")),
    }
}

/// Each run of placeholders is one piece of an image, of this shape.
pub(super) fn pieces<'a>(
    runs: impl IntoIterator<Item = &'a (usize, usize)>,
    shape: impl Fn(usize) -> Result<Grid, String>,
) -> Result<Found, String> {
    let mut found = Found::default();
    for &(start, length) in runs {
        found.grids.push(shape(length)?);
        found.positions.extend(start..start + length);
    }
    Ok(found)
}

/// A square of so many tokens.
pub(super) fn square(tokens: usize) -> Result<Grid, String> {
    let side = tokens.isqrt();
    if side * side == tokens {
        Ok(grid(side, side))
    } else {
        Err(format!("{tokens} visual tokens in a row are no square"))
    }
}

/// So many tokens without a place in the image: what a resampler has gathered from all of it.
pub(super) fn unplaced(tokens: usize) -> Result<Grid, String> {
    Ok(grid(1, tokens))
}

/// An equal number of runs for each image.
pub(super) fn evenly<'a>(prompt: &'a Expanded<'_>) -> Result<impl Iterator<Item = &'a [(usize, usize)]>, String> {
    let (runs, images) = (prompt.runs.len(), prompt.sizes.len());
    if runs == 0 || !runs.is_multiple_of(images) {
        return Err(format!("{images} images in {runs} pieces: which is whose cannot be told"));
    }
    Ok(prompt.runs.chunks(runs / images))
}

/// Runs up to and with each one that is the last of its image.
pub(super) fn up_to<'a>(
    prompt: &'a Expanded<'_>,
    is_last: impl Fn(&(usize, usize)) -> bool,
) -> impl Iterator<Item = &'a [(usize, usize)]> {
    prompt.runs.split_inclusive(is_last)
}
