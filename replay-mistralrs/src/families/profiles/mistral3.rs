//! Mistral 3 (Pixtral's vision tower).
use crate::families::decoder;
use crate::families::expanded::{ExpandedPrompt, Placeholders, VisualTokens};
use crate::families::family::{COMMON, Family, Norm};
use crate::families::layout::{LayoutResult, grid, split_after};

pub(super) static PROFILE: Family = Family {
    architecture: "Mistral3ForConditionalGeneration",
    norm: Norm { weight: "language_model.model.norm.weight", one_plus: false },
    placeholders: Placeholders::Config(&[("/image_token_index", None)]),
    layout: rows,
    image_tag: |_, _| "[IMG]".into(),
    decoder: Some(&decoder::llama_like("language_model.model.layers")),
    encoders: &["vision_tower.", "multi_modal_projector."],
    note: "the break after each row of tokens is text",
    ..COMMON
};

/// A break token follows each row of visual tokens, and an end token the last row of an image.
fn rows(prompt: &ExpandedPrompt<'_>) -> LayoutResult {
    let end = prompt.model.token("[IMG_END]")?;
    let is_last = |&(start, columns): &(usize, usize)| prompt.tokens.get(start + columns) == Some(&end);
    let image = |rows: &[(usize, usize)]| {
        let columns = rows[0].1;
        if rows.iter().any(|row| row.1 != columns) {
            return Err(format!("expected {columns} visual tokens in every row of an image, got other numbers too"));
        }
        let positions = rows.iter().flat_map(|&(start, columns)| start..start + columns).collect();
        Ok(VisualTokens { grids: vec![grid(rows.len(), columns)], positions })
    };
    split_after(prompt, is_last).map(image).collect()
}
