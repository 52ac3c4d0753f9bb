//! Tests that a model runs a prompt with images as a request would send it, and provides such prompts for the other self-tests.
use std::sync::Arc;

use image::{DynamicImage, Rgb, RgbImage};
use mistralrs_core::Pipeline;
use mistralrs_core::forward_hook::probe;
use replay_core::{Activations, Error, PromptMap, Result, Role};

use super::lens::test_lens;
use crate::families::{Family, Media, PromptLabeller};
use crate::runtime::capture_tap::CaptureTap;
use crate::runtime::lens::EngineLens;

/// One small image.
pub(super) fn one_image() -> Vec<DynamicImage> {
    vec![DynamicImage::ImageRgb8(RgbImage::from_fn(112, 84, |x, y| Rgb([(x * 2) as u8, (y * 3) as u8, 99])))]
}

/// Two small images of unequal sizes.
pub(super) fn two_images() -> Vec<DynamicImage> {
    let small = DynamicImage::ImageRgb8(RgbImage::from_pixel(56, 84, Rgb([200, 30, 60])));
    one_image().into_iter().chain([small]).collect()
}

/// Runs a prompt with these images under a tap. Returns the labelled rows, and the logits unless the tap stopped the pass.
///
/// # Errors
/// If the engine fails, or the images are not found in the prompt.
pub(super) fn run_image_prompt(
    pipeline: &mut dyn Pipeline,
    family: &Family,
    labeller: &PromptLabeller,
    images: &[DynamicImage],
    tap: Arc<CaptureTap>,
    role: Role,
) -> Result<(PromptMap, Option<candle_core::Tensor>)> {
    let fail = |why: String| Error::engine(format!("the {role} model fails on a prompt with a small image: {why}"));
    let tokens = tokenize_image_prompt(pipeline, family, labeller, images.len(), "there").map_err(fail)?;
    let (row, logits) = probe(pipeline, tokens, images.to_vec(), tap).map_err(|e| fail(e.to_string()))?;
    let prompt = labeller.label_prompt(&row, Media { images, videos: &[] }).map_err(|e| fail(e.to_string()))?;
    Ok((prompt, logits))
}

/// Tokenizes a prompt with `images` images between the word "see" and `last_word`, before the engine expands it.
///
/// # Errors
/// If the model has no tokenizer, or the tokenizer fails.
pub(super) fn tokenize_image_prompt(
    pipeline: &dyn Pipeline,
    family: &Family,
    labeller: &PromptLabeller,
    images: usize,
    last_word: &str,
) -> std::result::Result<Vec<u32>, String> {
    let tokenizer = pipeline.tokenizer().ok_or("it has no tokenizer")?;
    let tags: String = (1..=images).map(|n| (family.image_tag)(labeller.metadata(), n)).collect();
    let text = format!("see {tags} {last_word}");
    Ok(tokenizer.encode(text, false).map_err(|e| e.to_string())?.get_ids().to_vec())
}

/// Tests that the rows of an image are found in the prompt, that the tap of every layer sees all rows, and that the lens agrees with the model
/// after the last layer.
///
/// # Errors
/// If one of these does not hold.
pub(crate) fn test_image_prompt(
    pipeline: &mut dyn Pipeline,
    family: &Family,
    labeller: &PromptLabeller,
    lens: &EngineLens,
    layers: usize,
    role: Role,
) -> Result<()> {
    let all: Vec<usize> = (0..=layers).collect();
    let tap = Arc::new(CaptureTap::for_all_rows(&all).through_all_layers());
    let (prompt, logits) = run_image_prompt(pipeline, family, labeller, &one_image(), tap.clone(), role)?;
    let captured: Activations = tap.take_activations(role)?;
    if captured.rows() != prompt.len() {
        return Err(Error::size(format!("rows that the taps of the {role} model saw"), prompt.len(), captured.rows()));
    }
    if prompt.visual_rows().is_empty() && family.has_visual_rows {
        return Err(Error::engine(format!(
            "expected visual rows in a prompt with an image for the {role} model, got none"
        )));
    }
    test_lens(lens, &captured, layers, logits, role)
}
