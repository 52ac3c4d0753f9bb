//! Phi-3-vision and Phi-3.5-vision. The engine takes one image per prompt.
use super::phi4_mm;
use crate::families::expanded::{ExpandedPrompt, Placeholders, VisualTokens};
use crate::families::family::{COMMON, Family, Norm};
use crate::families::layout::LayoutResult;

pub(super) static PROFILE: Family = Family {
    architecture: "Phi3VForCausalLM",
    text: "",
    norm: Norm { weight: "model.norm.weight", one_plus: false },
    placeholders: Placeholders::Negative,
    layout: crops,
    image_tag: |_, n| format!("<|image_{n}|>"),
    one_image: true,
    encoders: &["model.vision_embed_tokens."],
    note: "all crops put together, and the whole image; separators are not ranked",
    ..COMMON
};

/// The number of tokens per side of a crop.
const SIDE: usize = 12;

/// One grid of all crops and one of the whole image, with a separator after each row and between the two grids.
fn crops(prompt: &ExpandedPrompt<'_>) -> LayoutResult {
    let image = |(&(start, length), &size): (&(usize, usize), &(u32, u32))| {
        let whole = (SIDE, SIDE);
        let has_length = |(rows, columns): (usize, usize)| rows * (columns + 1) + 1 + SIDE * (SIDE + 1) == length;
        let crops = (1..=64).flat_map(|rows| (1..=64).map(move |columns| (rows * SIDE, columns * SIDE)));
        let crops = crops.filter(|crops| has_length(*crops)).min_by(|a, b| {
            let difference = |&(rows, columns): &(usize, usize)| phi4_mm::aspect_difference(rows, columns, size);
            difference(a).total_cmp(&difference(b))
        });
        let crops = crops.ok_or_else(|| format!("{length} visual tokens do not form an image of this family"))?;
        let order = prompt.model.config.pointer("/embd_layer/hd_transform_order").and_then(|order| order.as_str());
        Ok(phi4_mm::two_grids(start, if order == Some("sub_glb") { [crops, whole] } else { [whole, crops] }))
    };
    prompt.runs.iter().zip(&prompt.sizes).map(image).collect::<Result<Vec<VisualTokens>, String>>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::layout::grid;

    #[test]
    fn separators_have_no_position_in_the_grids() {
        let visual = phi4_mm::two_grids(5, [(1, 2), (2, 1)]);
        assert_eq!(visual.grids, [grid(1, 2), grid(2, 1)]);
        assert_eq!(visual.positions, [5, 6, 9, 11]);
    }
}
