//! Phi-4-multimodal.
use crate::families::expanded::{ExpandedPrompt, Placeholders, VisualTokens};
use crate::families::family::{COMMON, Family, Norm};
use crate::families::layout::{LayoutResult, grid};

pub(super) static PROFILE: Family = Family {
    architecture: "Phi4MMForCausalLM",
    text: "",
    norm: Norm { weight: "model.norm.weight", one_plus: false },
    placeholders: Placeholders::Fixed(200_010),
    layout: crops,
    image_tag: |_, n| format!("<|image_{n}|>"),
    encoders: &["model.embed_tokens_extend."],
    note: "all crops put together, and the whole image; separators are not ranked",
    ..COMMON
};

/// The number of tokens per side of the whole image.
const SIDE: usize = 16;

/// One grid of all crops without padding and one of the whole image, with a separator after each row and between the two grids. Adjacent
/// images form one run, which divides evenly because the engine resizes all images of a prompt to one size.
fn crops(prompt: &ExpandedPrompt<'_>) -> LayoutResult {
    let total: usize = prompt.runs.iter().map(|run| run.1).sum();
    let images = prompt.sizes.len();
    if total == 0 || !total.is_multiple_of(images) {
        return Err(format!("{total} visual tokens do not divide equally among {images} images"));
    }
    let length = total / images;
    // The common size, computed as the engine does: an image that is both wider and higher raises the width alone.
    let larger = |(width, height): (u32, u32), size: &(u32, u32)| match size {
        size if size.0 > width => (size.0, height),
        size => (width, height.max(size.1)),
    };
    let largest = prompt.sizes[1..].iter().fold(prompt.sizes[0], larger);
    let order =
        prompt.model.config.pointer("/embd_layer/image_embd_layer/hd_transform_order").and_then(|order| order.as_str());
    let starts =
        prompt.runs.iter().flat_map(|&(start, run)| (0..run / length).map(move |image| start + image * length));
    let image = |start: usize| {
        let whole = (SIDE, SIDE);
        let rest = length.checked_sub(1 + SIDE * (SIDE + 1)).filter(|rest| *rest > 0);
        let rest = rest.ok_or_else(|| format!("{length} visual tokens do not form an image of this family"))?;
        let shapes =
            (1..=rest).filter(|rows| rest.is_multiple_of(*rows) && rest / rows > 1).map(|rows| (rows, rest / rows - 1));
        let crops =
            shapes.min_by(|a, b| aspect_difference(a.0, a.1, largest).total_cmp(&aspect_difference(b.0, b.1, largest)));
        let crops =
            crops.ok_or_else(|| format!("{rest} visual tokens do not form a grid with a separator after each row"))?;
        Ok(two_grids(start, if order == Some("sub_glb") { [crops, whole] } else { [whole, crops] }))
    };
    starts.map(image).collect()
}

/// The difference between the aspect ratios of a grid and of an image, in logarithms.
pub(super) fn aspect_difference(rows: usize, columns: usize, (width, height): (u32, u32)) -> f64 {
    ((columns as f64 / rows as f64).ln() - (f64::from(width) / f64::from(height)).ln()).abs()
}

/// The visual tokens of two grids (rows, columns), one after the other. The separators after each row and between the grids are left out.
pub(super) fn two_grids(start: usize, parts: [(usize, usize); 2]) -> VisualTokens {
    let mut visual = VisualTokens::default();
    let mut next = start;
    for (rows, columns) in parts {
        visual.grids.push(grid(rows, columns));
        for row in 0..rows {
            let first = next + row * (columns + 1);
            visual.positions.extend(first..first + columns);
        }
        next += rows * (columns + 1) + 1;
    }
    visual
}
