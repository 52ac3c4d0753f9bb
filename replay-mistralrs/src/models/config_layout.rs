//! `config.json` as transformers 5 writes it, put as the engine reads it. Models that were trained further are often saved by a newer
//! version than the ones they come from, and of what it does not find the engine takes a default or fails.
use std::path::Path;

use serde_json::{Map, Value};

/// Families whose rotary parameters the engine reads where transformers 5 writes them.
const READ_AS_WRITTEN: [&str; 4] = [
    "Gemma4ForConditionalGeneration",
    "Mistral3ForConditionalGeneration",
    "Qwen3_5ForConditionalGeneration",
    "Qwen3_5MoeForConditionalGeneration",
];
/// Families whose text model's keys the engine reads at the top.
const FLAT: [&str; 2] = ["Qwen2VLForConditionalGeneration", "Qwen2_5_VLForConditionalGeneration"];

/// Llama 3.2 Vision's heads, unless the engine finds another number.
const MLLAMA_VISION_HEADS: u64 = 16;

/// Adds what the engine looks for elsewhere; what is there already stays. Returns whether there was anything to add.
pub(crate) fn translate(config: &mut Value) -> bool {
    let before = config.clone();
    let is_one_of = |families: &[&str]| families.iter().any(|family| config["architectures"][0] == *family);
    let (read_as_written, flat) = (is_one_of(&READ_AS_WRITTEN), is_one_of(&FLAT));
    let experts = is_one_of(&["Qwen3VLMoeForConditionalGeneration"]);
    let Some(config) = config.as_object_mut() else { return false };
    if !read_as_written {
        for table in ["text_config", "vision_config"] {
            config.get_mut(table).and_then(Value::as_object_mut).into_iter().for_each(rotary);
        }
        rotary(config);
    }
    if let Some(text) = config.get_mut("text_config").and_then(Value::as_object_mut) {
        numbers(text);
        if let Some(count) = text.get("num_local_experts").cloned().filter(|_| experts) {
            text.entry("num_experts").or_insert(count);
        }
    }
    if let Some(vision) = config.get_mut("vision_config").and_then(Value::as_object_mut) {
        let heads = vision.get("attention_heads").filter(|heads| heads.as_u64() != Some(MLLAMA_VISION_HEADS));
        if let Some(heads) = heads.cloned() {
            vision.entry("num_attention_heads").or_insert(heads);
        }
        // Only what the engine does not know by this name: CLIP's configuration has it too, and there it does.
        if flat && vision.get("hidden_act").is_some_and(|name| name == "quick_gelu") {
            vision.insert("hidden_act".into(), "quickgelu".into());
        }
    }
    if flat && !config.contains_key("hidden_size") {
        let text = config.get("text_config").and_then(Value::as_object).cloned().unwrap_or_default();
        for (key, value) in text {
            config.entry(key).or_insert(value);
        }
    }
    *config != *before.as_object().unwrap_or(&Map::new())
}

/// The same for the text of the file.
///
/// # Errors
/// If it is not JSON.
pub(crate) fn translate_text(text: String) -> Result<String, String> {
    let mut config: Value = serde_json::from_str(&text).map_err(|e| format!("config.json: {e}"))?;
    Ok(if translate(&mut config) { config.to_string() } else { text })
}

/// The version of transformers that wrote this folder's `config.json`, if it is one whose files this module is about.
pub(crate) fn written_by_newer(folder: &Path) -> Option<String> {
    let config: Value = serde_json::from_str(&std::fs::read_to_string(folder.join("config.json")).ok()?).ok()?;
    let version = config["transformers_version"].as_str()?;
    let major: u32 = version.split('.').next()?.parse().ok()?;
    (major >= 5).then(|| version.into())
}

/// `rope_parameters` as `rope_theta` and `rope_scaling`; those of two kinds of layers as Gemma 3 has them.
fn rotary(table: &mut Map<String, Value>) {
    if table.contains_key("rope_theta") {
        return;
    }
    let Some(parameters) = table.get("rope_parameters").and_then(Value::as_object) else { return };
    let all = parameters.get("full_attention").and_then(Value::as_object).unwrap_or(parameters).clone();
    let local = parameters.get("sliding_attention").and_then(|local| local.get("rope_theta")).cloned();
    if let Some(theta) = all.get("rope_theta") {
        table.insert("rope_theta".into(), theta.clone());
    }
    if let Some(theta) = local {
        table.insert("rope_local_base_freq".into(), theta);
    }
    let scaling: Map<_, _> = all.into_iter().filter(|(key, _)| key != "rope_theta").collect();
    let kind = scaling.get("rope_type").and_then(Value::as_str);
    if scaling.len() > 1 || !matches!(kind, None | Some("default" | "axial")) {
        table.entry("rope_scaling").or_insert(Value::Object(scaling));
    }
}

/// Llama 4's switch, which was a number.
fn numbers(text: &mut Map<String, Value>) {
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
        assert!(translate(&mut config));
        let once = config.clone();
        assert!(!translate(&mut config), "a second time changes nothing");
        assert_eq!(config, once);
        config
    }

    #[test]
    fn rotary_parameters_go_where_the_engine_looks_for_them() {
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
    fn both_kinds_of_layers_have_theirs() {
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
    fn the_text_models_keys_stand_at_the_top_where_the_engine_wants_them_there() {
        let text = json!({"hidden_size": 64, "model_type": "qwen2_vl_text",
            "rope_parameters": {"mrope_section": [2, 3, 3], "rope_theta": 1e6, "rope_type": "default", "type": "mrope"}});
        let architectures = json!(["Qwen2VLForConditionalGeneration"]);
        let config = translated(json!({"architectures": architectures, "model_type": "qwen2_vl", "text_config": text}));
        assert_eq!((&config["hidden_size"], &config["rope_theta"]), (&json!(64), &json!(1e6)));
        assert_eq!(config["rope_scaling"]["mrope_section"], json!([2, 3, 3]));
        assert_eq!(config["model_type"], "qwen2_vl");
    }

    #[test]
    fn other_names_of_the_same_are_added() {
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
    fn what_the_engine_reads_is_left_alone() {
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
            assert!(!translate(&mut config), "{before}");
            assert_eq!(config, before);
        }
        assert!(translate_text("{".into()).is_err());
    }
}
