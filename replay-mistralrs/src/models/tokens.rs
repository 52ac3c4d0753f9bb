//! The files about a model's tokens, reduced to what the engine reads: it fails on keys that newer libraries write otherwise.
use serde_json::{Map, Value};

/// The keys of `tokenizer_config.json` that the engine uses.
const USED: [&str; 7] =
    ["chat_template", "bos_token", "eos_token", "unk_token", "pad_token", "add_bos_token", "add_eos_token"];

/// The used keys of `tokenizer_config.json`, with `template` as the chat template if there is one.
pub(crate) fn tokenizer_config(config: &Value, template: Option<&Value>) -> Value {
    let used = |key: &&str| Some(((*key).to_owned(), config.get(*key).filter(|value| !value.is_null())?.clone()));
    let mut reduced: Map<String, Value> = USED.iter().filter_map(used).collect();
    for key in ["bos_token", "eos_token", "unk_token", "pad_token"] {
        // A token may be written as an object, of which the engine reads only a full one.
        if let Some(text) = reduced.get(key).and_then(|token| token.get("content")).cloned() {
            reduced.insert(key.into(), text);
        }
    }
    if let Some(template) = template {
        reduced.insert("chat_template".into(), template.clone());
    }
    Value::Object(reduced)
}

/// `generation_config.json` without ids that the tokenizer lacks, and those ids.
pub(crate) fn generation_config(config: &Value, tokenizer: &Value) -> (Value, Vec<u64>) {
    let mut config = config.clone();
    let mut unknown = Vec::new();
    let known = known_ids(tokenizer);
    for key in ["bos_token_id", "eos_token_id"] {
        let Some(ids) = config.get(key) else { continue };
        let ids: Vec<u64> = match ids {
            Value::Array(ids) => ids.iter().filter_map(Value::as_u64).collect(),
            id => id.as_u64().into_iter().collect(),
        };
        let (kept, dropped): (Vec<u64>, Vec<u64>) = ids.into_iter().partition(|id| known.contains(id));
        unknown.extend(dropped);
        if let Some(config) = config.as_object_mut() {
            match kept[..] {
                [] => drop(config.remove(key)),
                [id] => drop(config.insert(key.into(), id.into())),
                _ => drop(config.insert(key.into(), kept.into())),
            }
        }
    }
    unknown.sort_unstable();
    unknown.dedup();
    (config, unknown)
}

/// The ids that end an answer: those of `generation_config.json`, and that of the text in `tokenizer_config.json`.
///
/// # Errors
/// If none of them is a token, so that no answer would end.
pub(crate) fn check_end(generation: &Value, config: &Value, tokenizer: &Value) -> Result<(), String> {
    let text = |value: &Value| value.get("content").unwrap_or(value).as_str().map(str::to_owned);
    let end = config.get("eos_token").and_then(text);
    if !generation["eos_token_id"].is_null() || end.is_none() {
        return Ok(());
    }
    let is_token = |text: &str| {
        let added = tokenizer["added_tokens"].as_array().into_iter().flatten();
        tokenizer["model"]["vocab"].get(text).is_some() || added.into_iter().any(|token| token["content"] == text)
    };
    match end {
        Some(end) if !is_token(&end) => Err(format!(
            "no token ends its answers: tokenizer_config.json names {end:?}, which tokenizer.json lacks, and generation_config.json names no other; \
             correct `eos_token`"
        )),
        _ => Ok(()),
    }
}

fn known_ids(tokenizer: &Value) -> std::collections::HashSet<u64> {
    let vocabulary = tokenizer["model"]["vocab"].as_object().into_iter().flatten().filter_map(|(_, id)| id.as_u64());
    // A unigram model lists its tokens in the order of their ids.
    let listed = tokenizer["model"]["vocab"].as_array().map_or(0, Vec::len) as u64;
    let added = tokenizer["added_tokens"].as_array().into_iter().flatten().filter_map(|token| token["id"].as_u64());
    vocabulary.chain(0..listed).chain(added).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_the_engine_uses_is_kept() {
        let config = json!({"eos_token": {"content": "<e>", "lstrip": false}, "extra_special_tokens": ["<x>"], "bos_token": null,
            "additional_special_tokens": [{"content": "<y>"}], "chat_template": "a"});
        assert_eq!(tokenizer_config(&config, None), json!({"eos_token": "<e>", "chat_template": "a"}));
        assert_eq!(tokenizer_config(&config, Some(&json!("b")))["chat_template"], "b");
    }

    #[test]
    fn ids_without_a_token_are_left_out_and_named() {
        let tokenizer = json!({"model": {"vocab": {"a": 0}}, "added_tokens": [{"content": "<e>", "id": 5}]});
        let (config, unknown) = generation_config(&json!({"eos_token_id": [5, 99], "top_k": 1}), &tokenizer);
        assert_eq!((config, unknown), (json!({"eos_token_id": 5, "top_k": 1}), vec![99]));
        let (config, _) = generation_config(&json!({"eos_token_id": 99}), &tokenizer);
        assert!(check_end(&config, &json!({"eos_token": "<e>"}), &tokenizer).is_ok());
        assert!(check_end(&config, &json!({"eos_token": "<gone>"}), &tokenizer).unwrap_err().contains("<gone>"));
    }
}
