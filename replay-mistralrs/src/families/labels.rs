//! Which rows of a prompt are which piece of which image.
use std::collections::HashMap;

use image::DynamicImage;
use mistralrs_core::VideoInput;
use mistralrs_core::forward_hook::{MediaSpan, PromptRow};
use replay_core::{Error, Grid, Image, ImageContent, PromptMap, Result};
use serde_json::Value;

use super::Family;
use crate::models::model_files::ModelFiles;

/// The tokens that stand for visual content in the prompt that the model sees.
#[derive(Debug, Clone, Copy)]
pub enum Placeholders {
    /// Their ids stand at these places of `config.json`, or are these.
    Config(&'static [(&'static str, Option<u32>)]),
    /// The engine has its id built in.
    Fixed(u32),
    /// The tokenizer knows it by this name.
    Named(&'static str),
    /// Ids that are negative numbers, one for each image.
    Negative,
    /// The token may be text elsewhere: only the engine's own record of its media tells.
    Recorded,
}

/// What a request brought to be seen.
#[derive(Debug, Clone, Copy, Default)]
pub struct Media<'a> {
    /// Images, in the order of the prompt.
    pub pictures: &'a [DynamicImage],
    /// Videos, in the order of the prompt.
    pub videos: &'a [VideoInput],
}

/// A prompt whose visual tokens are to be found.
#[derive(Debug)]
pub struct Expanded<'a> {
    /// The prompt, expanded.
    pub tokens: &'a [u32],
    /// Runs of placeholder tokens: first position and length.
    pub runs: Vec<(usize, usize)>,
    /// Width and height of each image, in pixels, as the request brought it.
    pub sizes: Vec<(u32, u32)>,
    /// Runs of video placeholders, one for each frame.
    pub frames: Vec<(usize, usize)>,
    /// Of each video how many frames it has, and width and height of the first.
    pub videos: Vec<(usize, (u32, u32))>,
    /// Frames, rows and columns of patches of each image, for the families whose processor says so.
    pub patches: &'a [Vec<u32>],
    /// What is known of the model.
    pub model: &'a Labels,
}

/// The visual tokens of one image or video.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Found {
    /// One grid, or one for each piece.
    pub grids: Vec<Grid>,
    /// The positions of their tokens in the prompt, in the order of the grids.
    pub positions: Vec<usize>,
}

/// Each image of a prompt (or each video), or why they cannot be told.
pub type Layout = fn(&Expanded<'_>) -> std::result::Result<Vec<Found>, String>;

/// Labels the prompts of one model.
#[derive(Debug)]
pub struct Labels {
    family: &'static Family,
    /// `config.json`.
    pub config: Value,
    /// `preprocessor_config.json`; null if there is none.
    pub preprocessor: Value,
    /// `processor_config.json`; null if there is none.
    pub processor: Value,
    special: HashMap<String, u32>,
    ids: Vec<u32>,
}

impl Labels {
    /// For a model with these files.
    pub(crate) fn new(family: &'static Family, files: &ModelFiles) -> Self {
        let ModelFiles { config, tokenizer, preprocessor, processor, .. } = files;
        let added = tokenizer["added_tokens"].as_array().into_iter().flatten();
        let special = added.filter_map(|token| Some((token["content"].as_str()?.into(), token["id"].as_u64()? as u32)));
        let special: HashMap<String, u32> = special.collect();
        let id = |&(place, default): &(&str, Option<u32>)| {
            let configured = config.pointer(place).and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok());
            configured.or(default)
        };
        let ids = match family.placeholders {
            Placeholders::Config(places) => places.iter().filter_map(id).collect(),
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
            ids,
        }
    }

    /// The id of a special token.
    ///
    /// # Errors
    /// If the tokenizer has none of that name.
    pub fn token(&self, name: &str) -> std::result::Result<u32, String> {
        self.special.get(name).copied().ok_or_else(|| format!("the tokenizer has no token {name}"))
    }

    /// A number of `config.json`, by its place.
    ///
    /// # Errors
    /// If there is none.
    pub fn number(&self, place: &str) -> std::result::Result<usize, String> {
        let number = self.config.pointer(place).and_then(Value::as_u64);
        number.map(|number| number as usize).ok_or_else(|| format!("config.json has no number at {place}"))
    }

    /// Whether the family sees videos.
    pub(crate) fn sees_videos(&self) -> bool {
        self.family.video.is_some()
    }

    fn is_placeholder(&self, token: u32) -> bool {
        match self.family.placeholders {
            Placeholders::Negative => token.cast_signed() < 0,
            _ => self.ids.contains(&token),
        }
    }

    /// The labelled rows of one sequence's prompt.
    ///
    /// # Errors
    /// If the images cannot be found in it.
    pub(crate) fn map(&self, row: &PromptRow, media: Media<'_>) -> Result<PromptMap> {
        let tokens = row.tokens.get(..row.prompt_len).unwrap_or(&row.tokens);
        let video = self.family.video.filter(|_| !media.videos.is_empty());
        if media.pictures.is_empty() && video.is_none() {
            return PromptMap::at(row.sequence, tokens, Vec::new());
        }
        let recorded = |span: &MediaSpan| (span.offset, span.length);
        let size = |picture: &DynamicImage| (picture.width(), picture.height());
        // A video without frames leaves nothing in the prompt but its placeholder, which is text.
        let videos: Vec<&VideoInput> = media.videos.iter().filter(|video| !video.frames.is_empty()).collect();
        let expanded = Expanded {
            tokens,
            runs: match self.family.placeholders {
                Placeholders::Recorded => row.media.iter().map(recorded).collect(),
                _ => runs(tokens, |token| self.is_placeholder(token)),
            },
            sizes: media.pictures.iter().map(size).collect(),
            frames: video.map_or_else(Vec::new, |video| runs(tokens, |token| token == video.placeholder)),
            videos: videos.iter().map(|video| (video.frames.len(), size(&video.frames[0]))).collect(),
            patches: row.image_grid_thw.as_deref().unwrap_or(&[]),
            model: self,
        };
        let pictures = media.pictures.iter().map(content).collect();
        let mut seen = placed("images", self.family.layout, &expanded, pictures)?;
        if let Some(video) = video {
            let clips = videos.iter().map(|video| ImageContent::of_clip(video.frames.iter().map(content)));
            seen.extend(placed("videos", video.layout, &expanded, clips.collect())?);
            // Each kind is in the order of the prompt.
            seen.sort_by_key(|(_, positions)| positions.first().copied());
        }
        PromptMap::at(row.sequence, tokens, seen)
    }
}

/// Images, or videos, with the positions of their visual tokens.
fn placed(
    kind: &str,
    layout: Layout,
    prompt: &Expanded<'_>,
    contents: Vec<ImageContent>,
) -> Result<Vec<(Image, Vec<usize>)>> {
    if contents.is_empty() {
        return Ok(Vec::new());
    }
    let found = layout(prompt).map_err(Error::engine)?;
    if found.len() != contents.len() {
        return Err(Error::size(format!("{kind} in the prompt"), contents.len(), found.len()));
    }
    let image = |(found, content): (Found, _)| (Image { grids: found.grids, content }, found.positions);
    Ok(found.into_iter().zip(contents).map(image).collect())
}

/// How a picture's pixels are laid out, and what they are.
fn content(image: &DynamicImage) -> ImageContent {
    ImageContent::of(image.width(), image.height(), &format!("{:?}", image.color()), image.as_bytes())
}

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
