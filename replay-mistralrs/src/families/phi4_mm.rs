//! Phi-4-multimodal.
use super::layout::{Images, grid};
use super::{Expanded, Family, Found, Norm, Placeholders, USUAL};

pub(super) static PROFILE: Family = Family {
    architecture: "Phi4MMForCausalLM",
    text: "",
    norm: Norm { weight: "model.norm.weight", one_plus: false },
    placeholders: Placeholders::Fixed(200_010),
    layout: crops,
    image_tag: |_, n| format!("<|image_{n}|>"),
    encoders: &["model.embed_tokens_extend."],
    note: "all crops put together, and the whole image; separators are not ranked",
    ..USUAL
};

/// Tokens per side of the whole image.
const SIDE: usize = 16;

/// The crops put together without their padding, and the whole: a separator after each row, and one between the two. Adjacent images
/// make one run; the images of a prompt are brought to one size first, so it divides evenly.
fn crops(prompt: &Expanded<'_>) -> Images {
    let total: usize = prompt.runs.iter().map(|run| run.1).sum();
    let images = prompt.sizes.len();
    if total == 0 || !total.is_multiple_of(images) {
        return Err(format!("{images} images of {total} visual tokens: which is whose cannot be told"));
    }
    let length = total / images;
    // One size for all, as the engine finds it: an image that is larger both ways raises the width alone.
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
        let rest = rest.ok_or_else(|| format!("{length} visual tokens are no image of this family"))?;
        let shapes =
            (1..=rest).filter(|rows| rest.is_multiple_of(*rows) && rest / rows > 1).map(|rows| (rows, rest / rows - 1));
        let crops = shapes.min_by(|a, b| off(a.0, a.1, largest).total_cmp(&off(b.0, b.1, largest)));
        let crops = crops.ok_or_else(|| format!("{rest} visual tokens are no grid with separators"))?;
        Ok(two_parts(start, if order == Some("sub_glb") { [crops, whole] } else { [whole, crops] }))
    };
    starts.map(image).collect()
}

/// How far a grid's sides are from an image's.
pub(super) fn off(rows: usize, columns: usize, (width, height): (u32, u32)) -> f64 {
    ((columns as f64 / rows as f64).ln() - (f64::from(width) / f64::from(height)).ln()).abs()
}

/// Two grids (rows, columns) one after the other, with a separator after each row and one between them: separators stand for no place.
pub(super) fn two_parts(start: usize, parts: [(usize, usize); 2]) -> Found {
    let mut found = Found::default();
    let mut next = start;
    for (rows, columns) in parts {
        found.grids.push(grid(rows, columns));
        for row in 0..rows {
            let first = next + row * (columns + 1);
            found.positions.extend(first..first + columns);
        }
        next += rows * (columns + 1) + 1;
    }
    found
}
