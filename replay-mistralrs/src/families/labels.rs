//! Labels the rows of a prompt: which row stands for which piece of which image.
use std::collections::HashMap;

use image::DynamicImage;
use mistralrs_core::VideoInput;
use mistralrs_core::forward_hook::{MediaSpan, PromptRow};
use replay_core::{Error, Grid, Image, ImageContent, PromptMap, Result};
use serde_json::Value;

use super::Family;
use crate::models::model_files::ModelFiles;

/// The tokens that stand for visual content in the expanded prompt.
#[derive(Debug, Clone, Copy)]
pub enum Placeholders {
    /// Their ids are read from these paths of `config.json`, each with the default that the engine assumes.
    Config(&'static [(&'static str, Option<u32>)]),
    /// The id is a constant of the engine.
    Fixed(u32),
    /// The id is that of the special token of this name.
    Named(&'static str),
    /// Ids are negative numbers, one per image.
    Negative,
    /// The token may also be text, so positions come from the engine's own record of the media it inserted.
    Recorded,
}

/// The images and videos of a request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Media<'a> {
    /// The images, in the order of the prompt.
    pub images: &'a [DynamicImage],
    /// The videos, in the order of the prompt.
    pub videos: &'a [VideoInput],
}

/// A prompt after the engine has expanded its images, as a [`Layout`] takes it.
#[derive(Debug)]
pub struct ExpandedPrompt<'a> {
    /// The token ids.
    pub tokens: &'a [u32],
    /// The runs of consecutive placeholder tokens: first position and length.
    pub runs: Vec<(usize, usize)>,
    /// Width and height of each image of the request, in pixels.
    pub sizes: Vec<(u32, u32)>,
    /// The runs of video placeholder tokens, one per frame.
    pub frames: Vec<(usize, usize)>,
    /// The number of frames of each video, and width and height of its first frame in pixels.
    pub videos: Vec<(usize, (u32, u32))>,
    /// Frames, rows and columns of the patches of each image, in the families whose processor gives them.
    pub patches: &'a [Vec<u32>],
    /// The labeller of the model, which holds its configuration files.
    pub model: &'a PromptLabeller,
}

/// The visual tokens of one image or video.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct VisualTokens {
    /// One grid, or one per piece of the image.
    pub grids: Vec<Grid>,
    /// The positions of the visual tokens in the prompt, in the order of the grids.
    pub positions: Vec<usize>,
}

/// Finds the visual tokens of each image of a prompt (or of each video); the error says why it cannot.
pub type Layout = fn(&ExpandedPrompt<'_>) -> std::result::Result<Vec<VisualTokens>, String>;

/// Labels the prompts of one model.
#[derive(Debug)]
pub struct PromptLabeller {
    family: &'static Family,
    /// `config.json`.
    pub config: Value,
    /// `preprocessor_config.json`; null if there is none.
    pub preprocessor: Value,
    /// `processor_config.json`; null if there is none.
    pub processor: Value,
    /// Ids of the special tokens, by text.
    special: HashMap<String, u32>,
    placeholder_ids: Vec<u32>,
}

impl PromptLabeller {
    /// Creates the labeller of a model with these files.
    pub(crate) fn new(family: &'static Family, files: &ModelFiles) -> Self {
        let ModelFiles { config, tokenizer, preprocessor, processor, .. } = files;
        let added = tokenizer["added_tokens"].as_array().into_iter().flatten();
        let special = added.filter_map(|token| Some((token["content"].as_str()?.into(), token["id"].as_u64()? as u32)));
        let special: HashMap<String, u32> = special.collect();
        let id = |&(path, default): &(&str, Option<u32>)| {
            let configured = config.pointer(path).and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok());
            configured.or(default)
        };
        let placeholder_ids = match family.placeholders {
            Placeholders::Config(paths) => paths.iter().filter_map(id).collect(),
            Placeholders::Fixed(id) => vec![id],
            Placeholders::Named(name) => special.get(name).copied().into_iter().collect(),
            Placeholders::Negative | Placeholders::Recorded => Vec::new(),
        };
        Self {
            family,
            config: config.clone(),
            preprocessor: preprocessor.clone(),
            processor: processor.clone(),
            special,
            placeholder_ids,
        }
    }

    /// The id of a special token.
    ///
    /// # Errors
    /// If the tokenizer has none of that name.
    pub fn token(&self, name: &str) -> std::result::Result<u32, String> {
        self.special.get(name).copied().ok_or_else(|| format!("the tokenizer has no token {name}"))
    }

    /// The number at a path of `config.json`.
    ///
    /// # Errors
    /// If there is no number at that path.
    pub fn number(&self, path: &str) -> std::result::Result<usize, String> {
        let number = self.config.pointer(path).and_then(Value::as_u64);
        number.map(|number| number as usize).ok_or_else(|| format!("config.json has no number at {path}"))
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
            model: self,
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
