//! Phi-3-vision and Phi-3.5-vision. One image a prompt.
use super::layout::Images;
use super::{Expanded, Family, Found, Norm, Placeholders, USUAL, phi4_mm};

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
    ..USUAL
};

/// Tokens per side of a crop.
const SIDE: usize = 12;

/// All crops put together, and the whole: a separator after each row, and one between the two.
fn crops(prompt: &Expanded<'_>) -> Images {
    let image = |(&(start, length), &size): (&(usize, usize), &(u32, u32))| {
        let whole = (SIDE, SIDE);
        let fits = |(rows, columns): (usize, usize)| rows * (columns + 1) + 1 + SIDE * (SIDE + 1) == length;
        let crops = (1..=64).flat_map(|rows| (1..=64).map(move |columns| (rows * SIDE, columns * SIDE)));
        let crops = crops.filter(|crops| fits(*crops)).min_by(|a, b| {
            let off = |&(rows, columns): &(usize, usize)| phi4_mm::off(rows, columns, size);
            off(a).total_cmp(&off(b))
        });
        let crops = crops.ok_or_else(|| format!("{length} visual tokens are no image of this family"))?;
        let order = prompt.model.config.pointer("/embd_layer/hd_transform_order").and_then(|order| order.as_str());
        Ok(phi4_mm::two_parts(start, if order == Some("sub_glb") { [crops, whole] } else { [whole, crops] }))
    };
    prompt.runs.iter().zip(&prompt.sizes).map(image).collect::<Result<Vec<Found>, String>>()
}

#[cfg(test)]
mod tests {
    use super::super::layout::grid;
    use super::*;

    #[test]
    fn separators_belong_to_no_place() {
        let found = phi4_mm::two_parts(5, [(1, 2), (2, 1)]);
        assert_eq!(found.grids, [grid(1, 2), grid(2, 1)]);
        assert_eq!(found.positions, [5, 6, 9, 11]);
    }
}
