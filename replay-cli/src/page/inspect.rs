//! The page of `replay inspect`.
use std::collections::BTreeMap;

use replay_core::{LearnedReport, PairInfo, Report};
use serde::Serialize;

use super::render::{PageError, Parts, render};

/// What the page shows.
#[derive(Debug, Serialize)]
pub struct InspectData<'a> {
    /// Of the page.
    pub title: String,
    /// The two models.
    pub pair: &'a PairInfo,
    /// Key and value of every setting.
    pub settings: Vec<(&'static str, String)>,
    /// What was asked.
    pub prompt: PromptData<'a>,
    /// In prompt order.
    pub images: Vec<ImageData>,
    /// One entry per policy layer.
    pub layers: Vec<LayerData>,
    /// With strategy `learned`.
    pub learned: Option<&'a LearnedReport>,
    /// `off` and `on`.
    pub answers: BTreeMap<&'static str, AnswerData<'a>>,
    /// Of the replayed answer.
    pub report: &'a Report,
}

/// What was asked.
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
    /// Which image of the prompt it is, and which piece of one that is cut up; what is drawn is the whole image all the same.
    pub name: String,
    /// Data URLs: one for each frame.
    pub src: Vec<String>,
    /// Pixels of the original.
    pub width: u32,
    /// Pixels of the original.
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
    /// Of the base, in nats.
    pub entropy: Vec<Option<f32>>,
    /// 1 where the policy selects.
    pub selected: Vec<u8>,
    /// KL(base || RLVR) of clean passes, in nats.
    pub kl_before: Vec<Option<f32>>,
    /// The same with replay.
    pub kl_after: Vec<Option<f32>>,
}

/// One answer.
#[derive(Debug, Serialize)]
pub struct AnswerData<'a> {
    /// What was generated.
    pub text: &'a str,
    /// In milliseconds.
    pub time_to_first_token_ms: f64,
}

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
