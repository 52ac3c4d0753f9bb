//! A prompt with pictures through a model, as a request would bring it.
use std::sync::Arc;

use image::{DynamicImage, Rgb, RgbImage};
use mistralrs_core::Pipeline;
use mistralrs_core::forward_hook::probe;
use replay_core::{Activations, Error, PromptMap, Result, Role};

use super::head::test_lens;
use crate::families::{Family, Labels, Media};
use crate::runtime::lens::EngineLens;
use crate::runtime::tap::CaptureTap;

/// One picture, between two words.
pub(crate) fn one() -> Vec<DynamicImage> {
    vec![DynamicImage::ImageRgb8(RgbImage::from_fn(112, 84, |x, y| Rgb([(x * 2) as u8, (y * 3) as u8, 99])))]
}

/// Two adjacent ones of unequal sizes.
pub(crate) fn two() -> Vec<DynamicImage> {
    let small = DynamicImage::ImageRgb8(RgbImage::from_pixel(56, 84, Rgb([200, 30, 60])));
    one().into_iter().chain([small]).collect()
}

/// Runs the pictures under a tap. The labelled rows, and the logits unless the tap stopped the pass.
///
/// # Errors
/// If the engine fails on them, or they are not found in the prompt.
pub(super) fn run(
    pipeline: &mut dyn Pipeline,
    family: &Family,
    labels: &Labels,
    pictures: &[DynamicImage],
    tap: Arc<CaptureTap>,
    role: Role,
) -> Result<(PromptMap, Option<candle_core::Tensor>)> {
    let fails = |why: String| Error::engine(format!("the {role} model fails on a small picture: {why}"));
    let tokens = tokens(pipeline, family, labels, pictures.len(), "there").map_err(fails)?;
    let (row, logits) = probe(pipeline, tokens, pictures.to_vec(), tap).map_err(|e| fails(e.to_string()))?;
    let prompt =
        labels.label_prompt(&row, Media { images: pictures, videos: &[] }).map_err(|e| fails(e.to_string()))?;
    Ok((prompt, logits))
}

/// The prompt of so many pictures between two words, of which this is the last, before the engine expands it.
///
/// # Errors
/// If the model has no tokenizer, or it fails.
pub(super) fn tokens(
    pipeline: &dyn Pipeline,
    family: &Family,
    labels: &Labels,
    pictures: usize,
    last: &str,
) -> std::result::Result<Vec<u32>, String> {
    let tokenizer = pipeline.tokenizer().ok_or("it has no tokenizer")?;
    let tags: String = (1..=pictures).map(|n| (family.image_tag)(labels, n)).collect();
    let text = format!("see {tags} {last}");
    Ok(tokenizer.encode(text, false).map_err(|e| e.to_string())?.get_ids().to_vec())
}

/// Are a picture's rows found, does a tap fire in front of every layer with all of them, and is the lens right after the last?
///
/// # Errors
/// If not.
pub(crate) fn test_picture(
    pipeline: &mut dyn Pipeline,
    family: &Family,
    labels: &Labels,
    lens: &EngineLens,
    layers: usize,
    role: Role,
) -> Result<()> {
    let all: Vec<usize> = (0..=layers).collect();
    let tap = Arc::new(CaptureTap::whole(&all).through());
    let (prompt, logits) = run(pipeline, family, labels, &one(), tap.clone(), role)?;
    let captured: Activations = tap.finish(role)?;
    if captured.rows() != prompt.len() {
        return Err(Error::size(format!("rows that the taps of the {role} model saw"), prompt.len(), captured.rows()));
    }
    if prompt.visual_rows().is_empty() && family.has_visual_rows {
        return Err(Error::engine(format!("a picture has no rows in a prompt of the {role} model")));
    }
    test_lens(lens, &captured, layers, logits, role)
}
