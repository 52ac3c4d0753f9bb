//! Mistral 3 (Pixtral's vision tower).
use super::layout::{Images, grid, up_to};
use super::{Expanded, Family, Found, Norm, Placeholders, USUAL, decoder};

pub(super) static PROFILE: Family = Family {
    architecture: "Mistral3ForConditionalGeneration",
    norm: Norm { weight: "language_model.model.norm.weight", one_plus: false },
    placeholders: Placeholders::Config(&[("/image_token_index", None)]),
    layout: rows,
    image_tag: |_, _| "[IMG]".into(),
    decoder: Some(&decoder::plain("language_model.model.layers")),
    encoders: &["vision_tower.", "multi_modal_projector."],
    note: "the break after each row of tokens is text",
    ..USUAL
};

/// A break follows each row of tokens, an end the last row of an image.
fn rows(prompt: &Expanded<'_>) -> Images {
    let end = prompt.model.token("[IMG_END]")?;
    let is_last = |&(start, columns): &(usize, usize)| prompt.tokens.get(start + columns) == Some(&end);
    let image = |rows: &[(usize, usize)]| {
        let columns = rows[0].1;
        if rows.iter().any(|row| row.1 != columns) {
            return Err(format!("an image of rows of {columns} and of other numbers of tokens"));
        }
        let positions = rows.iter().flat_map(|&(start, columns)| start..start + columns).collect();
        Ok(Found { grids: vec![grid(rows.len(), columns)], positions })
    };
    up_to(prompt, is_last).map(image).collect()
}
