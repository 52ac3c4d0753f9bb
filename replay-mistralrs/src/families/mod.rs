//! What replay has to know of a model family. Another family is one file here and one line in [`ALL`].
mod decoder;
mod gemma3;
mod gemma3n;
mod gemma4;
mod idefics2;
mod idefics3;
mod labels;
mod layout;
mod llama4;
mod llava;
mod llava_next;
mod minicpm_o;
mod mistral3;
mod mllama;
mod mrope;
mod phi3_v;
mod phi4_mm;
mod qwen2_5_vl;
mod qwen2_vl;
mod qwen3_5;
mod qwen3_5_moe;
mod qwen3_vl;
mod qwen3_vl_moe;
mod refused;

pub use decoder::Decoder;
pub use labels::{Expanded, Found, Labels, Layout, Media, Placeholders};
use replay_core::registry::Architecture;
use serde_json::{Map, Value};

use crate::error::AttachError;

/// Every family with a profile.
pub const ALL: [&Family; 19] = [
    &qwen2_vl::PROFILE,
    &qwen2_5_vl::PROFILE,
    &qwen3_vl::PROFILE,
    &qwen3_vl_moe::PROFILE,
    &qwen3_5::PROFILE,
    &qwen3_5_moe::PROFILE,
    &gemma3::PROFILE,
    &gemma3n::PROFILE,
    &gemma4::PROFILE,
    &mistral3::PROFILE,
    &llama4::PROFILE,
    &mllama::PROFILE,
    &idefics2::PROFILE,
    &idefics3::PROFILE,
    &phi3_v::PROFILE,
    &phi4_mm::PROFILE,
    &minicpm_o::PROFILE,
    &llava::PROFILE,
    &llava_next::PROFILE,
];

/// Architectures that the engine loads and replay refuses, with the reason.
pub const REFUSED: &[(&str, &str)] = &refused::REFUSED;

/// The profile of one family. Places in `config.json` are JSON pointers.
#[derive(Debug)]
pub struct Family {
    /// Its name in `architectures` of `config.json`.
    pub architecture: &'static str,
    /// The table with the decoder's fields; empty if they stand at the top.
    pub text: &'static str,
    /// The norm after the last layer.
    pub norm: Norm,
    /// From the normalised residual to logits.
    pub head: Head,
    /// Logits are capped, `c tanh(logits / c)`, with the c of this field of the text table, if it is there.
    pub soft_cap: Option<&'static str>,
    /// Tokens that stand for visual content.
    pub placeholders: Placeholders,
    /// Whether images have rows of their own in a prompt; in a family that attends to them from the side they have none.
    pub has_visual_rows: bool,
    /// How they are laid out.
    pub layout: Layout,
    /// Videos, where the engine has the family see any; elsewhere a video token is text.
    pub video: Option<Video>,
    /// An image in a prompt, by its number from 1, as it is before the engine expands it.
    pub image_tag: fn(&Labels, usize) -> String,
    /// A residual holds several streams of each position, one after another: so many as this field of the text table says. The lens
    /// unembeds all but the first and takes their mean (AltUp; Baykal et al. 2023, as Gemma 3n has it).
    pub streams: Option<&'static str>,
    /// Fields of the text table that published configurations leave out, and what the engine takes for them.
    pub defaults: &'static [(&'static str, f64)],
    /// How its decoder is differentiated, for strategy `learned`; `None` if it is not.
    pub decoder: Option<&'static Decoder>,
    /// How the names of the vision tower's and its projector's tensors begin in a checkpoint.
    pub encoders: &'static [&'static str],
    /// Decoder layers that must be loaded whatever the policy needs.
    pub least_layers: fn(&Value) -> usize,
    /// What else changes in the text table when it is to have this many layers.
    pub shorten: fn(&mut Map<String, Value>, usize),
    /// Of so many layers, how many read what rows of a prompt other than the last become: later ones share keys and values of earlier
    /// ones, and replaying visual rows there changes nothing.
    pub reading_layers: fn(&Value, usize) -> usize,
    /// The engine takes one image a prompt.
    pub one_image: bool,
    /// What visual rows and residuals are here, if not a row for each piece of the image and the stream between the layers.
    pub note: &'static str,
}

/// How a family sees videos.
#[derive(Debug, Clone, Copy)]
pub struct Video {
    /// The token that stands for a piece of a frame.
    pub placeholder: u32,
    /// How its frames are laid out.
    pub layout: Layout,
}

/// RMSNorm, epsilon `rms_norm_eps` of the text table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Norm {
    /// Its weight among the engine's tensors that are never quantised.
    pub weight: &'static str,
    /// One is added to the weight.
    pub one_plus: bool,
}

/// From the normalised residual to logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// The first linear layer outside the decoder layers.
    FirstLinear,
    /// One of the tensors that are never quantised, of this name.
    Tensor(&'static str),
    /// The first linear layer outside the decoder layers, or, with tied embeddings, this tensor.
    Tied(&'static str),
}

/// What most families have in common.
const USUAL: Family = Family {
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
    least_layers: |_| 1,
    shorten: |_, _| {},
    reading_layers: |_, layers| layers,
    one_image: false,
    note: "",
};

/// Architectures and strategies, for the registry.
pub fn architectures() -> Vec<Architecture> {
    let strategies = |family: &Family| -> &'static [&'static str] {
        if family.decoder.is_some() { &["substitute", "learned"] } else { &["substitute"] }
    };
    ALL.iter().map(|family| Architecture { name: family.architecture, strategies: strategies(family) }).collect()
}

impl Family {
    /// Architectures that strategy `learned` can do.
    pub fn differentiable() -> Vec<&'static str> {
        ALL.iter().filter(|family| family.decoder.is_some()).map(|family| family.architecture).collect()
    }

    /// The family of a `config.json`.
    ///
    /// # Errors
    /// If it has no profile.
    pub fn of(config: &Value) -> Result<&'static Self, AttachError> {
        let architecture = config["architectures"][0].as_str().unwrap_or("(none named in config.json)");
        if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| *refused == architecture) {
            return Err(AttachError::Refused { architecture: architecture.into(), why });
        }
        ALL.iter().copied().find(|family| family.architecture == architecture).ok_or_else(|| AttachError::NoProfile {
            architecture: architecture.into(),
            known: ALL.iter().map(|family| family.architecture).collect(),
        })
    }

    /// A field of the decoder.
    pub fn text_field<'a>(&self, config: &'a Value, name: &str) -> Option<&'a Value> {
        config.pointer(self.text)?.get(name)
    }

    /// A size of the decoder.
    ///
    /// # Errors
    /// If the configuration does not have it.
    pub fn size(&self, config: &Value, name: &str) -> Result<usize, AttachError> {
        let missing = || AttachError::Config(format!("config.json has no {}/{name}", self.text));
        self.number(config, name).map(|size| size as usize).ok_or_else(missing)
    }

    /// A number of the decoder, as configured or by default.
    pub fn number(&self, config: &Value, name: &str) -> Option<f64> {
        let default = || self.defaults.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
        self.text_field(config, name).and_then(Value::as_f64).or_else(default)
    }

    /// Streams of a residual.
    ///
    /// # Errors
    /// If the configuration does not say.
    pub fn streams(&self, config: &Value) -> Result<usize, AttachError> {
        self.streams.map_or(Ok(1), |name| Ok(self.size(config, name)?.max(1)))
    }

    /// Width of a residual's row: of all its streams.
    ///
    /// # Errors
    /// If the configuration does not say.
    pub fn width(&self, config: &Value) -> Result<usize, AttachError> {
        Ok(self.size(config, "hidden_size")? * self.streams(config)?)
    }

    /// The `config.json` of the same model with only its first `layers` decoder layers.
    ///
    /// # Errors
    /// If the configuration is not JSON, or of another shape.
    pub fn truncated(&self, config: &str, layers: usize) -> Result<String, String> {
        let mut config: Value = serde_json::from_str(config).map_err(|e| e.to_string())?;
        let text = config.pointer_mut(self.text).and_then(Value::as_object_mut);
        let text = text.ok_or_else(|| format!("config.json has no table {}", self.text))?;
        text.insert("num_hidden_layers".into(), layers.into());
        (self.shorten)(text, layers);
        Ok(config.to_string())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_family_without_a_profile_is_named() {
        let error = Family::of(&json!({"architectures": ["NewForConditionalGeneration"]})).unwrap_err().to_string();
        assert!(error.contains("NewForConditionalGeneration") && error.contains("Qwen2_5_VLForConditionalGeneration"));
        assert!(Family::of(&json!({})).is_err());
    }

    #[test]
    fn truncation_changes_the_layer_count_alone() {
        let nested = json!({"text_config": {"num_hidden_layers": 36, "hidden_size": 8}, "x": 1});
        let got = qwen3_vl::PROFILE.truncated(&nested.to_string(), 7).unwrap();
        let got: Value = serde_json::from_str(&got).unwrap();
        assert_eq!(got, json!({"text_config": {"num_hidden_layers": 7, "hidden_size": 8}, "x": 1}));
        let flat: Value = serde_json::from_str(&qwen2_5_vl::PROFILE.truncated("{}", 3).unwrap()).unwrap();
        assert_eq!(flat, json!({"num_hidden_layers": 3}));
    }
}
