//! Labels the rows of a prompt: which row stands for which piece of which image.
use image::DynamicImage;
use mistralrs_core::VideoInput;
use mistralrs_core::forward_hook::{MediaSpan, PromptRow};
use replay_core::{Error, Image, ImageContent, PromptMap, Result};
use serde_json::Value;

use super::expanded::{ExpandedPrompt, Layout, Placeholders, VisualTokens};
use super::family::Family;
use super::metadata::ModelMetadata;
use crate::models::model_files::ModelFiles;

/// The images and videos of a request.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Media<'a> {
    /// The images, in the order of the prompt.
    pub images: &'a [DynamicImage],
    /// The videos, in the order of the prompt.
    pub videos: &'a [VideoInput],
}

/// Labels the prompts of one model.
#[derive(Debug)]
pub(crate) struct PromptLabeller {
    family: &'static Family,
    metadata: ModelMetadata,
    placeholder_ids: Vec<u32>,
}

impl PromptLabeller {
    /// Creates the labeller of a model with these files.
    pub(crate) fn new(family: &'static Family, files: &ModelFiles) -> Self {
        let metadata = ModelMetadata::new(files);
        let id = |&(path, default): &(&str, Option<u32>)| {
            let configured =
                metadata.config.pointer(path).and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok());
            configured.or(default)
        };
        let placeholder_ids = match family.placeholders {
            Placeholders::Config(paths) => paths.iter().filter_map(id).collect(),
            Placeholders::Fixed(id) => vec![id],
            Placeholders::Named(name) => metadata.token(name).into_iter().collect(),
            Placeholders::Negative | Placeholders::Recorded => Vec::new(),
        };
        Self { family, metadata, placeholder_ids }
    }

    /// The configuration files and special tokens of the model.
    pub(crate) fn metadata(&self) -> &ModelMetadata {
        &self.metadata
    }

    /// The family of the model.
    pub(crate) fn family(&self) -> &'static Family {
        self.family
    }

    /// Whether the engine passes videos to this family.
    pub(crate) fn sees_videos(&self) -> bool {
        self.family.video.is_some()
    }

    fn is_placeholder(&self, token: u32) -> bool {
        match self.family.placeholders {
            Placeholders::Negative => token.cast_signed() < 0,
            _ => self.placeholder_ids.contains(&token),
        }
    }

    /// Labels the rows of one sequence's prompt.
    ///
    /// # Errors
    /// If the images or videos cannot be found in the prompt.
    pub(crate) fn label_prompt(&self, row: &PromptRow, media: Media<'_>) -> Result<PromptMap> {
        let tokens = row.tokens.get(..row.prompt_len).unwrap_or(&row.tokens);
        let video = self.family.video.filter(|_| !media.videos.is_empty());
        if media.images.is_empty() && video.is_none() {
            return PromptMap::at(row.sequence, tokens, Vec::new());
        }
        let run_of_span = |span: &MediaSpan| (span.offset, span.length);
        let size = |image: &DynamicImage| (image.width(), image.height());
        // A video without frames leaves only its placeholder in the prompt, which is text.
        let videos: Vec<&VideoInput> = media.videos.iter().filter(|video| !video.frames.is_empty()).collect();
        let expanded = ExpandedPrompt {
            tokens,
            runs: match self.family.placeholders {
                Placeholders::Recorded => row.media.iter().map(run_of_span).collect(),
                _ => runs(tokens, |token| self.is_placeholder(token)),
            },
            sizes: media.images.iter().map(size).collect(),
            frames: video.map_or_else(Vec::new, |video| runs(tokens, |token| token == video.placeholder)),
            videos: videos.iter().map(|video| (video.frames.len(), size(&video.frames[0]))).collect(),
            patches: row.image_grid_thw.as_deref().unwrap_or(&[]),
            model: &self.metadata,
        };
        let images = media.images.iter().map(image_content).collect();
        let mut labelled = locate("images", self.family.layout, &expanded, images)?;
        if let Some(video) = video {
            let clips = videos.iter().map(|video| ImageContent::of_clip(video.frames.iter().map(image_content)));
            labelled.extend(locate("videos", video.layout, &expanded, clips.collect())?);
            // Images and videos are each in the order of the prompt, but not together.
            labelled.sort_by_key(|(_, positions)| positions.first().copied());
        }
        PromptMap::at(row.sequence, tokens, labelled)
    }
}

/// Pairs each image or video with the positions of its visual tokens.
fn locate(
    kind: &str,
    layout: Layout,
    prompt: &ExpandedPrompt<'_>,
    contents: Vec<ImageContent>,
) -> Result<Vec<(Image, Vec<usize>)>> {
    if contents.is_empty() {
        return Ok(Vec::new());
    }
    let visual = layout(prompt).map_err(Error::engine)?;
    if visual.len() != contents.len() {
        return Err(Error::size(format!("{kind} in the prompt"), contents.len(), visual.len()));
    }
    let image = |(visual, content): (VisualTokens, _)| (Image { grids: visual.grids, content }, visual.positions);
    Ok(visual.into_iter().zip(contents).map(image).collect())
}

/// The identity of an image's content: its size, colour type and pixels.
fn image_content(image: &DynamicImage) -> ImageContent {
    ImageContent::of(image.width(), image.height(), &format!("{:?}", image.color()), image.as_bytes())
}

/// The runs of consecutive placeholder tokens: first position and length.
fn runs(tokens: &[u32], is_placeholder: impl Fn(u32) -> bool) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (position, _) in tokens.iter().enumerate().filter(|(_, token)| is_placeholder(**token)) {
        match runs.last_mut() {
            Some((start, length)) if *start + *length == position => *length += 1,
            _ => runs.push((position, 1)),
        }
    }
    runs
}
