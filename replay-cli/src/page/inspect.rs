//! The page of `replay inspect`.
use std::collections::BTreeMap;

use replay_core::{LearnedReport, PairInfo, Report};
use serde::Serialize;

use super::render::{PageError, Parts, render};

/// The data of the page.
#[derive(Debug, Serialize)]
pub struct InspectData<'a> {
    /// The title of the page.
    pub title: String,
    /// The two models.
    pub pair: &'a PairInfo,
    /// Key and value of every setting.
    pub settings: Vec<(&'static str, String)>,
    /// The prompt.
    pub prompt: PromptData<'a>,
    /// The images, in prompt order.
    pub images: Vec<ImageData>,
    /// One entry per policy layer.
    pub layers: Vec<LayerData>,
    /// How the delta was learned, with strategy `learned`.
    pub learned: Option<&'a LearnedReport>,
    /// The answers without and with replay, under `off` and `on`.
    pub answers: BTreeMap<&'static str, AnswerData<'a>>,
    /// The report of the replayed answer.
    pub report: &'a Report,
}

/// The prompt.
#[derive(Debug, Serialize)]
pub struct PromptData<'a> {
    /// System message.
    pub system: Option<&'a str>,
    /// The user's text.
    pub text: &'a str,
}

/// One image or video and its grid of visual tokens.
#[derive(Debug, Serialize)]
pub struct ImageData {
    /// The name of the image, and of its tile if its model family splits it; the page shows the full image for each tile.
    pub name: String,
    /// A data URL for each frame.
    pub src: Vec<String>,
    /// The width of the original, in pixels.
    pub width: u32,
    /// The height of the original, in pixels.
    pub height: u32,
    /// Frames of a clip; 1 for an image.
    pub frames: usize,
    /// Token rows of a frame.
    pub rows: usize,
    /// Token columns of a frame.
    pub columns: usize,
    /// Index of its first token among all visual tokens.
    pub first: usize,
}

/// All visual tokens at one policy layer; `None` where a value is not finite.
#[derive(Debug, Serialize)]
pub struct LayerData {
    /// The policy layer.
    pub layer: usize,
    /// The residual that was read.
    pub residual: usize,
    /// Entropy of the base, in nats.
    pub entropy: Vec<Option<f32>>,
    /// 1 for selected tokens, 0 for others.
    pub selected: Vec<u8>,
    /// KL(base || RLVR) of clean passes, in nats.
    pub kl_before: Vec<Option<f32>>,
    /// KL(base || RLVR) with replay, in nats.
    pub kl_after: Vec<Option<f32>>,
}

/// One answer.
#[derive(Debug, Serialize)]
pub struct AnswerData<'a> {
    /// The generated text.
    pub text: &'a str,
    /// Milliseconds from the request to the first token.
    pub time_to_first_token_ms: f64,
}

/// Renders the page of `replay inspect`.
///
/// # Errors
/// If the data cannot be written as JSON.
pub fn inspect(data: &InspectData<'_>) -> Result<String, PageError> {
    let parts = Parts {
        styles: &[include_str!("page.css"), include_str!("inspect.css")],
        scripts: &[
            include_str!("page.js"),
            include_str!("colour.js"),
            include_str!("chart.js"),
            include_str!("diff.js"),
            include_str!("grid.js"),
            include_str!("readout.js"),
            include_str!("explorer.js"),
            include_str!("summary.js"),
            include_str!("inspect.js"),
        ],
    };
    render(&parts, &data.title, data)
}
