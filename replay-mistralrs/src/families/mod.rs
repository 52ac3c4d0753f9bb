//! What replay has to know of a model family. Another family is one file here and one line in [`ALL`].
mod decoder;
mod mrope;
mod qwen2_5_vl;
mod qwen2_vl;
mod qwen3_vl;

pub use decoder::Decoder;
use replay_core::registry::Architecture;
use serde_json::Value;

use crate::error::AttachError;

/// Every family with a profile.
pub const ALL: [&Family; 3] = [&qwen2_vl::PROFILE, &qwen2_5_vl::PROFILE, &qwen3_vl::PROFILE];

/// The profile of one family. Places in `config.json` are JSON pointers.
#[derive(Debug)]
pub struct Family {
    /// Its name in `architectures` of `config.json`.
    pub architecture: &'static str,
    /// The table with the decoder's fields; empty if they stand at the top.
    pub text: &'static str,
    /// The final norm among the engine's tensors that are never quantised. Its weight multiplies the normalised row; epsilon is
    /// `rms_norm_eps` of the text table.
    pub final_norm: &'static str,
    /// What the architecture does to the head's output, if anything.
    pub head: Head,
    /// Token ids that stand for a piece of an image (the engine gives these families no videos; a video token is text).
    pub placeholders: &'static [&'static str],
    /// An image in a prompt, before its placeholder is multiplied.
    pub image_tag: &'static str,
    /// Patches per side that become one visual token.
    pub merge: &'static str,
    /// How its decoder is differentiated, for strategy `learned`; `None` if it is not.
    pub decoder: Option<&'static Decoder>,
    /// Decoder layers that must be loaded whatever the policy needs.
    pub least_layers: fn(&Value) -> usize,
}

/// From the normalised residual to logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// The head as it is: the first linear layer outside the decoder layers.
    Plain,
}

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
        self.text_field(config, name).and_then(Value::as_u64).map(|size| size as usize).ok_or_else(missing)
    }

    /// The placeholder tokens.
    pub fn placeholder_ids(&self, config: &Value) -> Vec<u32> {
        let id = |place: &&str| config.pointer(place).and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok());
        self.placeholders.iter().filter_map(id).collect()
    }

    /// Patches per side of a visual token.
    pub fn merge(&self, config: &Value) -> usize {
        config.pointer(self.merge).and_then(Value::as_u64).map_or(2, |merge| merge as usize)
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
        Ok(config.to_string())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_family_without_a_profile_is_named() {
        let error = Family::of(&json!({"architectures": ["Gemma3ForConditionalGeneration"]})).unwrap_err().to_string();
        assert!(
            error.contains("Gemma3ForConditionalGeneration") && error.contains("Qwen2_5_VLForConditionalGeneration")
        );
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
