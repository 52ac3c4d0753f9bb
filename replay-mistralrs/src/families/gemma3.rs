//! Gemma 3. Image rows attend to each other both ways.
use super::layout::{Images, pieces, square};
use super::{Expanded, Family, Norm, Placeholders, USUAL};

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
    ..USUAL
};

/// An image is squeezed into a square; with pan and scan its crops follow, and of several images none tells where its crops end.
fn squares(prompt: &Expanded<'_>) -> Images {
    let (images, runs) = (prompt.sizes.len(), prompt.runs.len());
    match images {
        1 => Ok(vec![pieces(&prompt.runs, square)?]),
        _ if images == runs => prompt.runs.iter().map(|run| pieces([run], square)).collect(),
        _ => Err(format!("{images} images in {runs} pieces: which is whose cannot be told; turn pan and scan off")),
    }
}
