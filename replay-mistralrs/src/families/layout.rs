//! Layouts of visual tokens that several families have in common.
use replay_core::Grid;

use super::expanded::{ExpandedPrompt, VisualTokens};

pub(super) type LayoutResult = Result<Vec<VisualTokens>, String>;

/// A grid of one frame.
pub(super) fn grid(rows: usize, columns: usize) -> Grid {
    Grid { frames: 1, rows, columns }
}

/// Reads the patch grid of each image from the processor; `spatial_merge_size` patches per side become one token.
pub(super) fn patch_grids(prompt: &ExpandedPrompt<'_>) -> LayoutResult {
    let merge = prompt.model.number("/vision_config/spatial_merge_size").unwrap_or(2);
    if prompt.patches.len() != prompt.sizes.len() {
        return Err(format!(
            "expected a patch grid for each of {} images, got {}",
            prompt.sizes.len(),
            prompt.patches.len()
        ));
    }
    let mut positions = prompt.runs.iter().flat_map(|&(start, length)| start..start + length);
    let image = |patches: &Vec<u32>| match patches[..] {
        [frames, rows, columns] => {
            let merged = |patches: u32| patches as usize / merge;
            let grid = Grid { frames: frames as usize, rows: merged(rows), columns: merged(columns) };
            Ok(VisualTokens { grids: vec![grid], positions: positions.by_ref().take(grid.tokens()).collect() })
        }
        _ => Err(format!("expected a patch grid of frames, rows and columns, got {patches:?}")),
    };
    let images = prompt.patches.iter().map(image).collect::<Result<Vec<_>, _>>()?;
    match positions.count() {
        0 => Ok(images),
        more => Err(format!("the prompt has {more} placeholder tokens more than its images have visual tokens")),
    }
}

/// The visual tokens of one image whose pieces are these runs of placeholder tokens; `shape` gives the grid of a run by its length.
pub(super) fn tokens_of_pieces<'a>(
    runs: impl IntoIterator<Item = &'a (usize, usize)>,
    shape: impl Fn(usize) -> Result<Grid, String>,
) -> Result<VisualTokens, String> {
    let mut visual = VisualTokens::default();
    for &(start, length) in runs {
        visual.grids.push(shape(length)?);
        visual.positions.extend(start..start + length);
    }
    Ok(visual)
}

/// A square grid of `tokens` tokens.
pub(super) fn square_grid(tokens: usize) -> Result<Grid, String> {
    let side = tokens.isqrt();
    if side * side == tokens {
        Ok(grid(side, side))
    } else {
        Err(format!("expected a square number of consecutive visual tokens, got {tokens}"))
    }
}

/// A grid of one row for the tokens of a resampler, which have no position in the image.
pub(super) fn unplaced_grid(tokens: usize) -> Result<Grid, String> {
    Ok(grid(1, tokens))
}

/// Divides the runs of placeholder tokens equally among the images.
pub(super) fn runs_per_image<'a>(
    prompt: &'a ExpandedPrompt<'_>,
) -> Result<impl Iterator<Item = &'a [(usize, usize)]>, String> {
    let (runs, images) = (prompt.runs.len(), prompt.sizes.len());
    if runs == 0 || !runs.is_multiple_of(images) {
        return Err(format!("{runs} pieces do not divide equally among {images} images"));
    }
    Ok(prompt.runs.chunks(runs / images))
}

/// Splits the runs of placeholder tokens after each run that is the last of its image.
pub(super) fn split_after<'a>(
    prompt: &'a ExpandedPrompt<'_>,
    is_last: impl Fn(&(usize, usize)) -> bool,
) -> impl Iterator<Item = &'a [(usize, usize)]> {
    prompt.runs.split_inclusive(is_last)
}
