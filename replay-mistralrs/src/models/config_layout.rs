//! Translates a `config.json` that transformers 5 wrote into the layout that the engine reads, which is that of transformers 4. An RLVR model
//! is often saved by a newer version than its base; where the engine does not find a field it assumes a default or fails.
use std::path::Path;

use serde_json::{Map, Value};

/// The `model_type` of each family in its `config.json`, and its architecture.
pub(crate) const BY_MODEL_TYPE: [(&str, &str); 19] = [
    ("gemma3", "Gemma3ForConditionalGeneration"),
    ("gemma3n", "Gemma3nForConditionalGeneration"),
    ("gemma4", "Gemma4ForConditionalGeneration"),
    ("idefics2", "Idefics2ForConditionalGeneration"),
    ("idefics3", "Idefics3ForConditionalGeneration"),
    ("llama4", "Llama4ForConditionalGeneration"),
    ("llava", "LlavaForConditionalGeneration"),
    ("llava_next", "LlavaNextForConditionalGeneration"),
    ("minicpmo", "MiniCPMO"),
    ("mistral3", "Mistral3ForConditionalGeneration"),
    ("mllama", "MllamaForConditionalGeneration"),
    ("phi3_v", "Phi3VForCausalLM"),
    ("phi4mm", "Phi4MMForCausalLM"),
    ("qwen2_5_vl", "Qwen2_5_VLForConditionalGeneration"),
    ("qwen2_vl", "Qwen2VLForConditionalGeneration"),
    ("qwen3_5", "Qwen3_5ForConditionalGeneration"),
    ("qwen3_5_moe", "Qwen3_5MoeForConditionalGeneration"),
    ("qwen3_vl", "Qwen3VLForConditionalGeneration"),
    ("qwen3_vl_moe", "Qwen3VLMoeForConditionalGeneration"),
];

/// Families whose `rope_parameters` the engine reads as transformers 5 writes them.
const READS_ROPE_PARAMETERS: [&str; 4] = [
    "Gemma4ForConditionalGeneration",
    "Mistral3ForConditionalGeneration",
    "Qwen3_5ForConditionalGeneration",
    "Qwen3_5MoeForConditionalGeneration",
];
/// Families whose text model's keys the engine reads at the top level.
const READS_TEXT_KEYS_AT_TOP: [&str; 2] = ["Qwen2VLForConditionalGeneration", "Qwen2_5_VLForConditionalGeneration"];

/// The number of vision heads that the engine assumes for Llama 3.2 Vision.
const MLLAMA_VISION_HEADS: u64 = 16;

/// Adds the fields in the places where the engine reads them; existing fields stay. Returns whether anything was added.
pub(crate) fn translate_config(config: &mut Value) -> bool {
    let before = config.clone();
    name_architecture(config);
    let is_one_of = |families: &[&str]| families.iter().any(|family| config["architectures"][0] == *family);
    let (reads_rope_parameters, reads_text_keys_at_top) =
        (is_one_of(&READS_ROPE_PARAMETERS), is_one_of(&READS_TEXT_KEYS_AT_TOP));
    let renames_experts = is_one_of(&["Qwen3VLMoeForConditionalGeneration"]);
    let Some(config) = config.as_object_mut() else { return false };
    if !reads_rope_parameters {
        for table in ["text_config", "vision_config"] {
            config.get_mut(table).and_then(Value::as_object_mut).into_iter().for_each(translate_rope);
        }
        translate_rope(config);
    }
    if let Some(text) = config.get_mut("text_config").and_then(Value::as_object_mut) {
        translate_attention_temperature(text);
        if let Some(count) = text.get("num_local_experts").cloned().filter(|_| renames_experts) {
            text.entry("num_experts").or_insert(count);
        }
    }
    if let Some(vision) = config.get_mut("vision_config").and_then(Value::as_object_mut) {
        let heads = vision.get("attention_heads").filter(|heads| heads.as_u64() != Some(MLLAMA_VISION_HEADS));
        if let Some(heads) = heads.cloned() {
            vision.entry("num_attention_heads").or_insert(heads);
        }
        // Only for these families: in CLIP's configuration the engine knows this activation as `quick_gelu`.
        if reads_text_keys_at_top && vision.get("hidden_act").is_some_and(|name| name == "quick_gelu") {
            vision.insert("hidden_act".into(), "quickgelu".into());
        }
    }
    if reads_text_keys_at_top && !config.contains_key("hidden_size") {
        let text = config.get("text_config").and_then(Value::as_object).cloned().unwrap_or_default();
        for (key, value) in text {
            config.entry(key).or_insert(value);
        }
    }
    *config != *before.as_object().unwrap_or(&Map::new())
}

/// Writes the architecture as a list of one that has a profile, where the file names an inner model, several, none, or a text: trainers save
/// what they have wrapped. `model_type` says which family it is. What cannot be named stays, and is refused by name.
fn name_architecture(config: &mut Value) {
    let is_known = |name: &String| BY_MODEL_TYPE.iter().any(|(_, known)| known == name);
    let named = match &config["architectures"] {
        Value::String(name) => vec![name.clone()],
        Value::Array(names) => names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    };
    if named.first().is_some_and(is_known) && config["architectures"].is_array() {
        return;
    }
    let of_type =
        || BY_MODEL_TYPE.iter().find(|(kind, _)| config["model_type"] == *kind).map(|(_, name)| (*name).into());
    // Another architecture of the same type is another model.
    let wraps = named.iter().all(|name| name.ends_with("Model"));
    let found: Option<String> = named.into_iter().find(is_known).or_else(|| of_type().filter(|_| wraps));
    if let (Some(found), Some(config)) = (found, config.as_object_mut()) {
        config.insert("architectures".into(), vec![found].into());
    }
}

/// Translates the text of a `config.json`, as [`translate_config`] does its value.
///
/// # Errors
/// If it is not JSON.
pub(crate) fn translate_config_text(text: String) -> Result<String, String> {
    let mut config: Value = serde_json::from_str(&text).map_err(|e| format!("config.json: {e}"))?;
    Ok(if translate_config(&mut config) { config.to_string() } else { text })
}

/// The version of transformers that wrote the `config.json` of this folder, if it is 5 or newer.
pub(crate) fn newer_transformers_version(folder: &Path) -> Option<String> {
    let config: Value = serde_json::from_str(&std::fs::read_to_string(folder.join("config.json")).ok()?).ok()?;
    let version = config["transformers_version"].as_str()?;
    let major: u32 = version.split('.').next()?.parse().ok()?;
    (major >= 5).then(|| version.into())
}

/// Writes `rope_parameters` as `rope_theta` and `rope_scaling`, and those of sliding layers as `rope_local_base_freq` (Gemma 3).
fn translate_rope(table: &mut Map<String, Value>) {
    if table.contains_key("rope_theta") {
        return;
    }
    let Some(parameters) = table.get("rope_parameters").and_then(Value::as_object) else { return };
    let full = parameters.get("full_attention").and_then(Value::as_object).unwrap_or(parameters).clone();
    let local = parameters.get("sliding_attention").and_then(|local| local.get("rope_theta")).cloned();
    if let Some(theta) = full.get("rope_theta") {
        table.insert("rope_theta".into(), theta.clone());
    }
    if let Some(theta) = local {
        table.insert("rope_local_base_freq".into(), theta);
    }
    let scaling: Map<_, _> = full.into_iter().filter(|(key, _)| key != "rope_theta").collect();
    let kind = scaling.get("rope_type").and_then(Value::as_str);
    if scaling.len() > 1 || !matches!(kind, None | Some("default" | "axial")) {
        table.entry("rope_scaling").or_insert(Value::Object(scaling));
    }
}

/// Writes Llama 4's `attn_temperature_tuning` as the number that it was in transformers 4.
fn translate_attention_temperature(text: &mut Map<String, Value>) {
    match text.get("attn_temperature_tuning").and_then(Value::as_bool) {
        Some(true) => drop(text.insert("attn_temperature_tuning".into(), 1.into())),
        Some(false) => drop(text.remove("attn_temperature_tuning")),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn translated(mut config: Value) -> Value {
        assert!(translate_config(&mut config));
        let once = config.clone();
        assert!(!translate_config(&mut config), "a second translation changes nothing");
        assert_eq!(config, once);
        config
    }

    #[test]
    fn rope_parameters_become_rope_theta_and_rope_scaling() {
        let scaled = json!({"rope_theta": 5e5, "rope_type": "llama3", "factor": 8.0});
        let config = translated(json!({
            "architectures": ["Idefics3ForConditionalGeneration"],
            "text_config": {"rope_parameters": scaled},
            "vision_config": {"rope_parameters": {"rope_theta": 10000.0, "rope_type": "axial"}},
        }));
        assert_eq!(config["text_config"]["rope_theta"], 5e5);
        assert_eq!(config["text_config"]["rope_scaling"], json!({"rope_type": "llama3", "factor": 8.0}));
        assert_eq!(config["vision_config"]["rope_theta"], 10000.0);
        assert!(config["vision_config"].get("rope_scaling").is_none());
    }

    #[test]
    fn full_and_sliding_layers_keep_their_own_rope_parameters() {
        let config = translated(json!({
            "architectures": ["Gemma3ForConditionalGeneration"],
            "text_config": {"rope_parameters": {
                "full_attention": {"factor": 8.0, "rope_theta": 1e6, "rope_type": "linear"},
                "sliding_attention": {"rope_theta": 1e4, "rope_type": "default"},
            }},
        }));
        let text = &config["text_config"];
        assert_eq!((&text["rope_theta"], &text["rope_local_base_freq"]), (&json!(1e6), &json!(1e4)));
        assert_eq!(text["rope_scaling"], json!({"factor": 8.0, "rope_type": "linear"}));
    }

    #[test]
    fn text_keys_are_copied_to_the_top_level_for_families_that_read_them_there() {
        let text = json!({"hidden_size": 64, "model_type": "qwen2_vl_text",
            "rope_parameters": {"mrope_section": [2, 3, 3], "rope_theta": 1e6, "rope_type": "default", "type": "mrope"}});
        let architectures = json!(["Qwen2VLForConditionalGeneration"]);
        let config = translated(json!({"architectures": architectures, "model_type": "qwen2_vl", "text_config": text}));
        assert_eq!((&config["hidden_size"], &config["rope_theta"]), (&json!(64), &json!(1e6)));
        assert_eq!(config["rope_scaling"]["mrope_section"], json!([2, 3, 3]));
        assert_eq!(config["model_type"], "qwen2_vl");
    }

    #[test]
    fn renamed_fields_are_added_under_their_old_names() {
        let experts = translated(json!({"architectures": ["Qwen3VLMoeForConditionalGeneration"],
            "text_config": {"num_local_experts": 6}}));
        assert_eq!(experts["text_config"]["num_experts"], 6);
        let heads = translated(json!({"architectures": ["MllamaForConditionalGeneration"],
            "vision_config": {"attention_heads": 4}}));
        assert_eq!(heads["vision_config"]["num_attention_heads"], 4);
        let act = translated(json!({"architectures": ["Qwen2VLForConditionalGeneration"], "hidden_size": 64,
            "vision_config": {"hidden_act": "quick_gelu"}}));
        assert_eq!(act["vision_config"]["hidden_act"], "quickgelu");
        let temperature = translated(json!({"architectures": ["Llama4ForConditionalGeneration"],
            "text_config": {"num_local_experts": 16, "attn_temperature_tuning": true}}));
        assert_eq!(temperature["text_config"], json!({"num_local_experts": 16, "attn_temperature_tuning": 1}));
    }

    #[test]
    fn an_architecture_that_is_not_named_is_that_of_the_model_type() {
        for named in [
            json!(["Qwen2_5_VLModel"]),
            json!("Qwen2_5_VLForConditionalGeneration"),
            json!(null),
            json!([]),
            json!(["Wrapped", "Qwen2_5_VLForConditionalGeneration"]),
        ] {
            let config = translated(json!({"architectures": named, "model_type": "qwen2_5_vl", "hidden_size": 64}));
            assert_eq!(config["architectures"], json!(["Qwen2_5_VLForConditionalGeneration"]), "{named}");
        }
        let mut another =
            json!({"architectures": ["NewForConditionalGeneration"], "model_type": "qwen2_5_vl", "hidden_size": 64});
        assert!(!translate_config(&mut another));
        let mut text_model = json!({"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2"});
        assert!(!translate_config(&mut text_model));
    }

    #[test]
    fn configurations_that_the_engine_reads_are_not_changed() {
        for mut config in [
            json!({"architectures": ["Gemma4ForConditionalGeneration"],
                "text_config": {"rope_parameters": {"full_attention": {"rope_theta": 1e6}}}}),
            json!({"architectures": ["Mistral3ForConditionalGeneration"],
                "text_config": {"rope_parameters": {"rope_theta": 1e6, "rope_type": "default"}}}),
            json!({"architectures": ["Qwen2VLForConditionalGeneration"], "hidden_size": 64, "rope_theta": 1e6,
                "text_config": {"hidden_size": 32}}),
            json!({"architectures": ["LlavaForConditionalGeneration"], "text_config": {"rope_theta": 1e4,
                "rope_parameters": {"rope_theta": 1e6}}}),
            json!({"architectures": ["MllamaForConditionalGeneration"], "vision_config": {"attention_heads": 16}}),
            json!({"architectures": ["Llama4ForConditionalGeneration"],
                "text_config": {"num_local_experts": 16, "attn_temperature_tuning": 4}}),
            json!([]),
        ] {
            let before = config.clone();
            assert!(!translate_config(&mut config), "{before}");
            assert_eq!(config, before);
        }
        assert!(translate_config_text("{".into()).is_err());
    }
}
