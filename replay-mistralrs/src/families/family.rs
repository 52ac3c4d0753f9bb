//! The profile of a model family.
use serde_json::{Map, Value};

use super::decoder::DecoderProfile;
use super::expanded::{Layout, Placeholders};
use super::metadata::ModelMetadata;
use crate::error::AttachError;

/// The profile of one family. Paths into `config.json` are JSON pointers.
#[derive(Debug)]
pub struct Family {
    /// The name of the family in `architectures` of `config.json`.
    pub architecture: &'static str,
    /// The path of the table that holds the decoder's fields; empty if they are at the top level.
    pub text: &'static str,
    /// The final norm, after the last decoder layer.
    pub norm: Norm,
    /// The head, which maps the normalised residual to logits.
    pub head: Head,
    /// The field of the text table that holds the soft cap c: logits become `c tanh(logits / c)`. No cap where the field is absent.
    pub soft_cap: Option<&'static str>,
    /// The tokens that stand for visual content.
    pub placeholders: Placeholders,
    /// Whether images have rows in the prompt; a family that reads them through cross-attention has none.
    pub has_visual_rows: bool,
    /// Finds the visual tokens of each image in a prompt.
    pub layout: Layout,
    /// How the family takes videos; `None` if the engine gives it none, and then a video token is text.
    pub video: Option<Video>,
    /// Returns the text that stands for image number n (from 1) in a prompt, before the engine expands it.
    pub image_tag: fn(&ModelMetadata, usize) -> String,
    /// The field of the text table that says how many streams each row of a residual holds, one after another; `None` for one stream. The
    /// lens projects every stream but the first and takes the mean of all (AltUp; Baykal et al. 2023, as Gemma 3n applies it).
    pub streams: Option<&'static str>,
    /// Fields of the text table that published configurations omit, with the values that the engine assumes.
    pub defaults: &'static [(&'static str, f64)],
    /// The profile of the differentiable decoder, for strategy `learned`; `None` if the family has none.
    pub decoder: Option<&'static DecoderProfile>,
    /// The beginnings of the names of the tensors of vision tower and projector in a checkpoint.
    pub encoders: &'static [&'static str],
    /// Returns the smallest number of decoder layers that the engine can load and run.
    pub min_layers: fn(&Value) -> usize,
    /// Adjusts the other fields of the text table to a smaller number of decoder layers.
    pub shorten: fn(&mut Map<String, Value>, usize),
    /// Given the number of layers, returns how many of the first layers compute keys and values of their own. Later layers reuse the
    /// keys and values of earlier ones, so replaying visual rows there changes nothing.
    pub reading_layers: fn(&Value, usize) -> usize,
    /// The largest ratio of the sides of an image that the family's processor takes.
    pub max_ratio: Option<u32>,
    /// Whether the engine takes only one image per prompt.
    pub one_image: bool,
    /// A remark for users where visual rows or residuals differ from the usual: one row per piece of the image, one residual stream.
    pub note: &'static str,
}

/// How a family takes videos.
#[derive(Debug, Clone, Copy)]
pub struct Video {
    /// The token that stands for a piece of a frame.
    pub placeholder: u32,
    /// Finds the visual tokens of each video in a prompt.
    pub layout: Layout,
}

/// The final RMSNorm, with `rms_norm_eps` of the text table as epsilon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Norm {
    /// The name of the weight among the engine's tensors that are never quantised.
    pub weight: &'static str,
    /// Whether one is added to the weight.
    pub one_plus: bool,
}

/// The head, which maps the normalised residual to logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// The first linear layer outside the decoder layers.
    FirstLinear,
    /// The tensor of this name among those that are never quantised.
    Tensor(&'static str),
    /// The first linear layer outside the decoder layers, or, with tied embeddings, this tensor.
    Tied(&'static str),
}

/// The fields that most families have in common.
pub(super) const COMMON: Family = Family {
    architecture: "",
    text: "/text_config",
    norm: Norm { weight: "", one_plus: false },
    head: Head::FirstLinear,
    soft_cap: None,
    placeholders: Placeholders::Config(&[]),
    has_visual_rows: true,
    layout: |_| Err("no layout".into()),
    video: None,
    image_tag: |_, _| String::new(),
    streams: None,
    defaults: &[],
    decoder: None,
    encoders: &[],
    min_layers: |_| 1,
    shorten: |_, _| {},
    reading_layers: |_, layers| layers,
    max_ratio: None,
    one_image: false,
    note: "",
};

impl Family {
    /// Checks the sides of an image, in pixels.
    ///
    /// # Errors
    /// If the family's processor takes no image of these sides.
    pub fn check_sides(&self, width: u32, height: u32) -> Result<(), String> {
        let Some(limit) = self.max_ratio else { return Ok(()) };
        let (long, short) = (width.max(height), width.min(height).max(1));
        if u64::from(long) <= u64::from(short) * u64::from(limit) {
            return Ok(());
        }
        Err(format!(
            "an image of {width} x {height} pixels is too narrow: this family takes images whose long side is at most {limit} times the short \
             one; cut it into pieces, or pad the short side"
        ))
    }

    /// A field of the text table.
    pub fn text_field<'a>(&self, config: &'a Value, name: &str) -> Option<&'a Value> {
        config.pointer(self.text)?.get(name)
    }

    /// A size in the text table, as configured or by default.
    ///
    /// # Errors
    /// If there is neither a configured nor a default value.
    pub fn size(&self, config: &Value, name: &str) -> Result<usize, AttachError> {
        let missing = || AttachError::Config(format!("config.json has no {}/{name}", self.text));
        self.number(config, name).map(|size| size as usize).ok_or_else(missing)
    }

    /// A number in the text table, as configured or by default.
    pub fn number(&self, config: &Value, name: &str) -> Option<f64> {
        let default = || self.defaults.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
        self.text_field(config, name).and_then(Value::as_f64).or_else(default)
    }

    /// The number of streams in each row of a residual.
    ///
    /// # Errors
    /// If the configuration lacks the field.
    pub fn streams(&self, config: &Value) -> Result<usize, AttachError> {
        self.streams.map_or(Ok(1), |name| Ok(self.size(config, name)?.max(1)))
    }

    /// The width of a row of a residual, over all its streams.
    ///
    /// # Errors
    /// If the configuration lacks a size.
    pub fn width(&self, config: &Value) -> Result<usize, AttachError> {
        Ok(self.size(config, "hidden_size")? * self.streams(config)?)
    }

    /// The `config.json` of the same model with only its first `layers` decoder layers.
    ///
    /// # Errors
    /// If the configuration is not JSON or has no text table.
    pub fn truncated(&self, config: &str, layers: usize) -> Result<String, String> {
        let mut config: Value = serde_json::from_str(config).map_err(|e| e.to_string())?;
        let text = config.pointer_mut(self.text).and_then(Value::as_object_mut);
        let text = text.ok_or_else(|| format!("config.json has no table {}", self.text))?;
        text.insert("num_hidden_layers".into(), layers.into());
        (self.shorten)(text, layers);
        Ok(config.to_string())
    }
}
