//! Gemma 3. Image rows attend to each other both ways.
use crate::families::expanded::{ExpandedPrompt, Placeholders};
use crate::families::family::{COMMON, Family, Norm};
use crate::families::layout::{LayoutResult, square_grid, tokens_of_pieces};

pub(super) static PROFILE: Family = Family {
    architecture: "Gemma3ForConditionalGeneration",
    norm: Norm { weight: "language_model.model.norm.weight", one_plus: true },
    soft_cap: Some("final_logit_softcapping"),
    placeholders: Placeholders::Config(&[("/image_token_index", None)]),
    layout: squares,
    image_tag: |_, _| "<start_of_image>".into(),
    defaults: &[
        ("vocab_size", 262_208.0),
        ("num_attention_heads", 8.0),
        ("num_key_value_heads", 4.0),
        ("head_dim", 256.0),
    ],
    encoders: &["vision_tower.", "multi_modal_projector."],
    note: "image rows attend to each other both ways; with pan and scan each crop is a piece, and only one image a prompt is taken",
    ..COMMON
};

/// The engine resizes each image to a square. With pan and scan, crops follow the image, and the prompt does not mark where the crops of
/// one image end.
fn squares(prompt: &ExpandedPrompt<'_>) -> LayoutResult {
    let (images, runs) = (prompt.sizes.len(), prompt.runs.len());
    match images {
        1 => Ok(vec![tokens_of_pieces(&prompt.runs, square_grid)?]),
        _ if images == runs => prompt.runs.iter().map(|run| tokens_of_pieces([run], square_grid)).collect(),
        _ => Err(format!(
            "{images} images have {runs} pieces, and the prompt does not tell which piece belongs to which image; turn pan and scan off"
        )),
    }
}
