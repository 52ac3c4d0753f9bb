//! The profiles, one file each, and the profile of a model. A new family is one file here, declared and listed below.
mod gemma3;
mod gemma3n;
mod gemma4;
mod idefics2;
mod idefics3;
mod llama4;
mod llava;
mod llava_next;
mod minicpm_o;
mod mistral3;
mod mllama;
mod phi3_v;
mod phi4_mm;
mod qwen2_5_vl;
mod qwen2_vl;
mod qwen3_5;
mod qwen3_5_moe;
mod qwen3_vl;
mod qwen3_vl_moe;
mod refused;

use replay_core::registry::Architecture;
use serde_json::Value;

use crate::error::AttachError;
use crate::families::family::Family;

/// All families that have a profile.
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

/// Architectures that the engine can load and replay refuses, each with the reason.
pub const REFUSED: &[(&str, &str)] = &refused::REFUSED;

/// The supported architectures with their strategies, for the registry.
pub fn architectures() -> Vec<Architecture> {
    let strategies = |family: &Family| -> &'static [&'static str] {
        if family.decoder.is_some() { &["substitute", "learned"] } else { &["substitute"] }
    };
    ALL.iter().map(|family| Architecture { name: family.architecture, strategies: strategies(family) }).collect()
}

impl Family {
    /// The architectures that support strategy `learned`.
    pub fn differentiable() -> Vec<&'static str> {
        ALL.iter().filter(|family| family.decoder.is_some()).map(|family| family.architecture).collect()
    }

    /// Finds the family of a `config.json` by its architecture.
    ///
    /// # Errors
    /// If the architecture has no profile or is refused.
    pub fn of(config: &Value) -> Result<&'static Self, AttachError> {
        let named = config["architectures"][0].as_str();
        let architecture = named.or(config["model_type"].as_str()).unwrap_or("(config.json names none)");
        if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| *refused == architecture) {
            return Err(AttachError::Refused { architecture: architecture.into(), why });
        }
        ALL.iter().copied().find(|family| family.architecture == architecture).ok_or_else(|| AttachError::NoProfile {
            architecture: architecture.into(),
            known: ALL.iter().map(|family| family.architecture).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::models::config_layout::BY_MODEL_TYPE;

    #[test]
    fn a_family_without_a_profile_is_named() {
        let error = Family::of(&json!({"architectures": ["NewForConditionalGeneration"]})).unwrap_err().to_string();
        assert!(error.contains("NewForConditionalGeneration") && error.contains("Qwen2_5_VLForConditionalGeneration"));
        assert!(Family::of(&json!({})).is_err());
    }

    #[test]
    fn every_family_can_be_named_by_its_model_type() {
        for family in ALL {
            assert!(BY_MODEL_TYPE.iter().any(|(_, name)| *name == family.architecture), "{}", family.architecture);
        }
        assert!(BY_MODEL_TYPE.iter().all(|(_, name)| ALL.iter().any(|family| family.architecture == *name)));
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
