//! Checks that two models are a pair, and reports all mismatches together.
use serde_json::Value;

use crate::error::AttachError;
use crate::error::Mismatch;
use crate::families::{Family, Placeholders};
use crate::models::model_files::ModelFiles;

/// The sizes of the decoder that must agree, so that a residual of one model has a meaning in the other.
/// The sizes of the vocabularies may differ: trainers pad them, or add tokens. What the lens says is about the ids that both have.
const DECODER_SIZES: [&str; 5] =
    ["hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim"];

/// The keys of the preprocessor that must agree. Size limits may differ, because both models get the pixels of the RLVR model's processor.
/// Published files omit keys with default values, so a key that one model lacks is no mismatch.
const PREPROCESSOR_KEYS: [&str; 5] = ["patch_size", "merge_size", "temporal_patch_size", "image_mean", "image_std"];

/// Checks that two models are a pair, and returns their family.
///
/// # Errors
/// [`AttachError::NotAPair`] with all mismatches, or an error if the family has no profile.
pub(crate) fn check_pair(base: &ModelFiles, rlvr: &ModelFiles) -> Result<&'static Family, AttachError> {
    let family = Family::of(&rlvr.config)?;
    let mut mismatches = Mismatches(Vec::new());
    mismatches.compare("architecture", &base.config["architectures"][0], &rlvr.config["architectures"][0]);
    for name in DECODER_SIZES {
        // A checkpoint that was saved again may hold fields that the published file omits.
        let default = || family.number(&Value::Null, name).map(|size| Value::from(size as u64));
        let field = |files: &ModelFiles| {
            let configured = family.text_field(&files.config, name).cloned();
            configured.or_else(default).unwrap_or(Value::Null)
        };
        let (base, rlvr) = (field(base), field(rlvr));
        // An absent head_dim means hidden_size / num_attention_heads.
        if name != "head_dim" || !base.is_null() && !rlvr.is_null() {
            mismatches.compare(name, &base, &rlvr);
        }
    }
    let placeholders = if let Placeholders::Config(paths) = family.placeholders { paths } else { &[] };
    for (path, default) in placeholders.iter().copied().chain([("/vision_config/spatial_merge_size", Some(2))]) {
        let default = || default.map_or(Value::Null, Value::from);
        let field = |files: &ModelFiles| files.config.pointer(path).cloned().unwrap_or_else(default);
        mismatches.compare(&path[1..], &field(base), &field(rlvr));
    }
    if !base.preprocessor.is_null() && !rlvr.preprocessor.is_null() {
        for name in PREPROCESSOR_KEYS {
            let (base, rlvr) = (&base.preprocessor[name], &rlvr.preprocessor[name]);
            if !base.is_null() && !rlvr.is_null() {
                mismatches.compare(&format!("preprocessor {name}"), base, rlvr);
            }
        }
    }
    compare_tokenizers(&mut mismatches, &base.tokenizer, &rlvr.tokenizer);
    if mismatches.0.is_empty() { Ok(family) } else { Err(AttachError::NotAPair(mismatches.0)) }
}

struct Mismatches(Vec<Mismatch>);

impl Mismatches {
    /// Adds a mismatch if the values differ.
    fn compare(&mut self, what: &str, base: &Value, rlvr: &Value) {
        // 1 and 1.0 are the same size.
        let nearly_equal = || Some((base.as_f64()? - rlvr.as_f64()?).abs() < 1e-9);
        if base != rlvr && nearly_equal() != Some(true) {
            self.push(what, display_value(base), display_value(rlvr));
        }
    }

    fn push(&mut self, what: &str, base: String, rlvr: String) {
        self.0.push(Mismatch { what: what.into(), base, rlvr });
    }
}

fn display_value(value: &Value) -> String {
    match value {
        Value::Null => "none".into(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Compares the parts of the tokenizers that decide which token a row stands for: type, merges and token ids. Decoders and templates may
/// differ, because only the RLVR model's are used. The RLVR model may have additional tokens, as long as the base's keep their ids.
fn compare_tokenizers(mismatches: &mut Mismatches, base: &Value, rlvr: &Value) {
    if base == rlvr {
        return;
    }
    for part in ["type", "merges"] {
        if normalize_merges(&base["model"][part]) != normalize_merges(&rlvr["model"][part]) {
            let describe = |tokenizer: &Value| match &tokenizer["model"][part] {
                Value::Array(entries) => format!("{} {part}", entries.len()),
                other => display_value(other),
            };
            mismatches.push(&format!("tokenizer {part}"), describe(base), format!("{} (not the same)", describe(rlvr)));
        }
    }
    let (base_ids, rlvr_ids) = (token_ids(base), token_ids(rlvr));
    let changed: Vec<_> = base_ids.iter().filter(|(token, id)| rlvr_ids.get(*token) != Some(id)).collect();
    if let Some((token, id)) = changed.iter().min_by_key(|(_, id)| **id) {
        let rlvr_id = rlvr_ids.get(*token).map_or("no such token".into(), |id| format!("id {id}"));
        mismatches.push(
            &format!("tokenizer ({} of {} tokens differ, the first is {token:?})", changed.len(), base_ids.len()),
            format!("id {id}"),
            rlvr_id,
        );
    }
}

/// Writes merges as `"a b"`, since some versions of the tokenizers library write `["a", "b"]`.
fn normalize_merges(value: &Value) -> Value {
    let merge = |merge: &Value| match merge.as_array().map(Vec::as_slice) {
        Some([a, b]) => Value::String(format!("{} {}", display_value(a), display_value(b))),
        _ => merge.clone(),
    };
    value.as_array().map_or_else(|| value.clone(), |merges| Value::Array(merges.iter().map(merge).collect()))
}

/// The ids of all tokens, added ones included.
fn token_ids(tokenizer: &Value) -> std::collections::HashMap<&str, u64> {
    let vocabulary = tokenizer["model"]["vocab"].as_object().into_iter().flatten();
    let vocabulary = vocabulary.filter_map(|(token, id)| Some((token.as_str(), id.as_u64()?)));
    let added = tokenizer["added_tokens"].as_array().into_iter().flatten();
    vocabulary.chain(added.filter_map(|token| Some((token["content"].as_str()?, token["id"].as_u64()?)))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn files() -> ModelFiles {
        ModelFiles {
            translated: false,
            remarks: Vec::new(),
            config: json!({"architectures": ["Qwen2_5_VLForConditionalGeneration"], "hidden_size": 64, "vocab_size": 10,
                "image_token_id": 9, "vision_config": {"spatial_merge_size": 2}}),
            tokenizer: json!({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []},
                "added_tokens": [{"content": "<|x|>", "id": 2}], "decoder": 1}),
            preprocessor: json!({"patch_size": 14, "rescale_factor": 0.003_921_568_627_450_98, "max_pixels": 100}),
            processor: Value::Null,
        }
    }

    #[test]
    fn models_that_differ_only_in_irrelevant_fields_are_a_pair() {
        let mut rlvr = files();
        rlvr.preprocessor["max_pixels"] = json!(50);
        rlvr.preprocessor["rescale_factor"] = json!(1.0 / 255.0);
        rlvr.preprocessor["image_mean"] = json!([0.5, 0.5, 0.5]);
        rlvr.config["head_dim"] = json!(16);
        rlvr.config["vocab_size"] = json!(26);
        rlvr.tokenizer["decoder"] = json!(2);
        rlvr.tokenizer["added_tokens"].as_array_mut().unwrap().push(json!({"content": "<tool>", "id": 3}));
        assert!(check_pair(&files(), &rlvr).is_ok());
    }

    #[test]
    fn a_field_that_one_file_omits_and_the_other_sets_to_its_default_is_no_mismatch() {
        let mut base = files();
        base.config = json!({"architectures": ["Gemma3ForConditionalGeneration"],
            "text_config": {"hidden_size": 64, "num_hidden_layers": 4}, "image_token_index": 9});
        let mut rlvr = files();
        rlvr.config = json!({"architectures": ["Gemma3ForConditionalGeneration"], "image_token_index": 9,
            "vision_config": {"spatial_merge_size": 2},
            "text_config": {"hidden_size": 64, "num_hidden_layers": 4, "vocab_size": 262_208, "num_attention_heads": 8,
                "num_key_value_heads": 4}});
        assert!(check_pair(&base, &rlvr).is_ok(), "{:?}", check_pair(&base, &rlvr));
        rlvr.config["text_config"]["num_attention_heads"] = json!(4);
        assert!(matches!(check_pair(&base, &rlvr), Err(AttachError::NotAPair(found)) if found.len() == 1));
    }

    #[test]
    fn all_mismatches_are_reported_together() {
        let mut base = files();
        base.config["hidden_size"] = json!(32);
        base.tokenizer["model"]["vocab"] = json!({"a": 1, "b": 0});
        base.preprocessor["patch_size"] = json!(16);
        let AttachError::NotAPair(found) = check_pair(&base, &files()).unwrap_err() else { panic!("not a pair") };
        let text: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            text,
            [
                "hidden_size: base has 32, RLVR model has 64",
                "preprocessor patch_size: base has 16, RLVR model has 14",
                "tokenizer (2 of 3 tokens differ, the first is \"b\"): base has id 0, RLVR model has id 1",
            ]
        );
    }

    #[test]
    fn an_architecture_without_a_profile_is_refused() {
        let mut other = files();
        other.config["architectures"] = json!(["NewForConditionalGeneration"]);
        assert!(matches!(check_pair(&other, &other), Err(AttachError::NoProfile { .. })));
        assert!(matches!(check_pair(&other, &files()), Err(AttachError::NotAPair(_))));
    }
}
