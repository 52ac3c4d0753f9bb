//! Do the two models belong together? Every mismatch is named at once.
use serde_json::Value;

use crate::error::AttachError;
use crate::error::Mismatch;
use crate::families::{Family, Placeholders};
use crate::models::model_files::ModelFiles;

/// Sizes of the decoder that decide whether a residual of one model means something in the other.
const SIZES: [&str; 6] =
    ["hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "vocab_size", "head_dim"];

/// What the pixels mean, as far as the engine reads it. Size limits may differ: both models get the pixels of the RLVR model's
/// processor. Published files leave out what is the processor's default, so a key that one model does not have is no mismatch.
const PIXELS: [&str; 5] = ["patch_size", "merge_size", "temporal_patch_size", "image_mean", "image_std"];

/// # Errors
/// [`AttachError::NotAPair`] with everything that differs, or a family without a profile.
pub(crate) fn check(base: &ModelFiles, rlvr: &ModelFiles) -> Result<&'static Family, AttachError> {
    let family = Family::of(&rlvr.config)?;
    let mut differs = Differences(Vec::new());
    differs.compare("architecture", &base.config["architectures"][0], &rlvr.config["architectures"][0]);
    for name in SIZES {
        // What a published file leaves out, a file that was saved again may say.
        let default = || family.number(&Value::Null, name).map(|size| Value::from(size as u64));
        let field = |files: &ModelFiles| {
            let configured = family.text_field(&files.config, name).cloned();
            configured.or_else(default).unwrap_or(Value::Null)
        };
        let (base, rlvr) = (field(base), field(rlvr));
        // hidden_size / num_attention_heads where it is not written.
        if name != "head_dim" || !base.is_null() && !rlvr.is_null() {
            differs.compare(name, &base, &rlvr);
        }
    }
    let placeholders = if let Placeholders::Config(places) = family.placeholders { places } else { &[] };
    for (place, default) in placeholders.iter().copied().chain([("/vision_config/spatial_merge_size", Some(2))]) {
        let default = || default.map_or(Value::Null, Value::from);
        let field = |files: &ModelFiles| files.config.pointer(place).cloned().unwrap_or_else(default);
        differs.compare(&place[1..], &field(base), &field(rlvr));
    }
    if !base.preprocessor.is_null() && !rlvr.preprocessor.is_null() {
        for name in PIXELS {
            let (base, rlvr) = (&base.preprocessor[name], &rlvr.preprocessor[name]);
            if !base.is_null() && !rlvr.is_null() {
                differs.compare(&format!("preprocessor {name}"), base, rlvr);
            }
        }
    }
    tokenizers(&mut differs, &base.tokenizer, &rlvr.tokenizer);
    if differs.0.is_empty() { Ok(family) } else { Err(AttachError::NotAPair(differs.0)) }
}

struct Differences(Vec<Mismatch>);

impl Differences {
    fn compare(&mut self, what: &str, base: &Value, rlvr: &Value) {
        // 1 and 1.0 are the same size.
        let close = || Some((base.as_f64()? - rlvr.as_f64()?).abs() < 1e-9);
        if base != rlvr && close() != Some(true) {
            self.push(what, show(base), show(rlvr));
        }
    }

    fn push(&mut self, what: &str, base: String, rlvr: String) {
        self.0.push(Mismatch { what: what.into(), base, rlvr });
    }
}

fn show(value: &Value) -> String {
    match value {
        Value::Null => "none".into(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Tokens and merges decide what a row stands for. Decoders and templates may differ: only the RLVR model's are used. RLVR training
/// may add tokens after the base's own, as long as the base's stay where they were.
fn tokenizers(differs: &mut Differences, base: &Value, rlvr: &Value) {
    if base == rlvr {
        return;
    }
    for part in ["type", "merges"] {
        if written_one_way(&base["model"][part]) != written_one_way(&rlvr["model"][part]) {
            let size = |tokenizer: &Value| match &tokenizer["model"][part] {
                Value::Array(all) => format!("{} {part}", all.len()),
                other => show(other),
            };
            differs.push(&format!("tokenizer {part}"), size(base), format!("{} (not the same)", size(rlvr)));
        }
    }
    let (ours, theirs) = (tokens(base), tokens(rlvr));
    let moved: Vec<_> = ours.iter().filter(|(token, id)| theirs.get(*token) != Some(id)).collect();
    if let Some((token, id)) = moved.iter().min_by_key(|(_, id)| **id) {
        let there = theirs.get(*token).map_or("no such token".into(), |id| format!("id {id}"));
        differs.push(
            &format!("tokenizer ({} of {} tokens differ, the first is {token:?})", moved.len(), ours.len()),
            format!("id {id}"),
            there,
        );
    }
}

/// Merges are written as `"a b"` or as `["a", "b"]`, by the version of the library.
fn written_one_way(value: &Value) -> Value {
    let merge = |merge: &Value| match merge.as_array().map(Vec::as_slice) {
        Some([a, b]) => Value::String(format!("{} {}", show(a), show(b))),
        _ => merge.clone(),
    };
    value.as_array().map_or_else(|| value.clone(), |all| Value::Array(all.iter().map(merge).collect()))
}

fn tokens(tokenizer: &Value) -> std::collections::HashMap<&str, u64> {
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
            config: json!({"architectures": ["Qwen2_5_VLForConditionalGeneration"], "hidden_size": 64, "vocab_size": 10,
                "image_token_id": 9, "vision_config": {"spatial_merge_size": 2}}),
            tokenizer: json!({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []},
                "added_tokens": [{"content": "<|x|>", "id": 2}], "decoder": 1}),
            preprocessor: json!({"patch_size": 14, "rescale_factor": 0.003_921_568_627_450_98, "max_pixels": 100}),
            processor: Value::Null,
        }
    }

    #[test]
    fn equal_models_are_a_pair_and_so_are_models_that_differ_where_it_does_not_matter() {
        let mut rlvr = files();
        rlvr.preprocessor["max_pixels"] = json!(50);
        rlvr.preprocessor["rescale_factor"] = json!(1.0 / 255.0);
        rlvr.preprocessor["image_mean"] = json!([0.5, 0.5, 0.5]);
        rlvr.config["head_dim"] = json!(16);
        rlvr.tokenizer["decoder"] = json!(2);
        rlvr.tokenizer["added_tokens"].as_array_mut().unwrap().push(json!({"content": "<tool>", "id": 3}));
        assert!(check(&files(), &rlvr).is_ok());
    }

    #[test]
    fn what_one_file_leaves_out_and_the_other_says_is_no_mismatch() {
        let mut base = files();
        base.config = json!({"architectures": ["Gemma3ForConditionalGeneration"],
            "text_config": {"hidden_size": 64, "num_hidden_layers": 4}, "image_token_index": 9});
        let mut rlvr = files();
        rlvr.config = json!({"architectures": ["Gemma3ForConditionalGeneration"], "image_token_index": 9,
            "vision_config": {"spatial_merge_size": 2},
            "text_config": {"hidden_size": 64, "num_hidden_layers": 4, "vocab_size": 262_208, "num_attention_heads": 8,
                "num_key_value_heads": 4}});
        assert!(check(&base, &rlvr).is_ok(), "{:?}", check(&base, &rlvr));
        rlvr.config["text_config"]["vocab_size"] = json!(262_144);
        assert!(matches!(check(&base, &rlvr), Err(AttachError::NotAPair(found)) if found.len() == 1));
    }

    #[test]
    fn every_mismatch_is_named_at_once() {
        let mut base = files();
        base.config["hidden_size"] = json!(32);
        base.config["vocab_size"] = json!(11);
        base.tokenizer["model"]["vocab"] = json!({"a": 1, "b": 0});
        base.preprocessor["patch_size"] = json!(16);
        let AttachError::NotAPair(found) = check(&base, &files()).unwrap_err() else { panic!("not a pair") };
        let text: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            text,
            [
                "hidden_size: base has 32, RLVR model has 64",
                "vocab_size: base has 11, RLVR model has 10",
                "preprocessor patch_size: base has 16, RLVR model has 14",
                "tokenizer (2 of 3 tokens differ, the first is \"b\"): base has id 0, RLVR model has id 1",
            ]
        );
    }

    #[test]
    fn an_architecture_without_a_profile_is_refused_by_name() {
        let mut other = files();
        other.config["architectures"] = json!(["NewForConditionalGeneration"]);
        assert!(matches!(check(&other, &other), Err(AttachError::NoProfile { .. })));
        assert!(matches!(check(&other, &files()), Err(AttachError::NotAPair(_))));
    }
}
