//! A prompt with its images in it, and where a family's visual tokens are.
use replay_core::Grid;

use super::metadata::ModelMetadata;

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
    /// The configuration files and special tokens of the model.
    pub model: &'a ModelMetadata,
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
