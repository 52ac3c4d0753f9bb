//! The weight files of a model's folder, checked before minutes are spent on loading them.
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::Value;

/// Files that a trainer writes while it trains, one for each process.
const PARTIAL: [&str; 6] = ["_rank_", "mp_rank_", "zero_pp_rank_", ".distcp", "global_step", "latest"];

/// Checks that the folder holds all weight files, whole, and of one model.
///
/// # Errors
/// What was found, what was expected and what to do.
pub(crate) fn check_weight_files(folder: &Path) -> Result<(), String> {
    let names = list(folder)?;
    let is_weights = |name: &&String| name.ends_with(".safetensors") && is_loaded(name);
    let files: Vec<&String> = names.iter().filter(is_weights).collect();
    if names.contains("adapter_config.json") && files.is_empty() {
        return Err(
            "the folder holds a LoRA adapter and no model; merge the adapter into the model it was trained on \
                    (`merge_and_unload` of PEFT), save the result, and name that folder"
                .into(),
        );
    }
    if files.is_empty() {
        return Err(without_weights(&names));
    }
    let indexed = index_files(folder)?;
    if let Some(missing) = indexed.iter().find(|name| !names.contains(*name)) {
        return Err(format!("model.safetensors.index.json names {missing}, which is not in the folder; copy it there"));
    }
    if let Some(missing) = missing_of_a_series(&files) {
        return Err(format!("{missing} is not in the folder, though others of its series are; copy it there"));
    }
    let stray = files.iter().find(|name| !indexed.is_empty() && !indexed.contains(**name));
    if let Some(stray) = stray {
        return Err(format!(
            "model.safetensors.index.json does not name {stray}, and the engine would load its tensors too; remove one of the two"
        ));
    }
    // Phi-4 is published with the adapters of its modalities, which the engine applies.
    let config = std::fs::read_to_string(folder.join("config.json")).unwrap_or_default();
    let has_adapters = config.contains("Phi4MM") || config.contains("phi4mm");
    files
        .iter()
        .try_for_each(|name| check_whole(&folder.join(name), has_adapters).map_err(|why| format!("{name}: {why}")))
}

fn list(folder: &Path) -> Result<BTreeSet<String>, String> {
    let entries = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect())
}

/// Whether the engine's loader takes a file of this name for weights.
fn is_loaded(name: &str) -> bool {
    let numbered = |rest: &str| rest.contains("-of-");
    name == "model.safetensors"
        || name.ends_with("consolidated.safetensors")
        || name.strip_prefix("model-").is_some_and(numbered)
}

fn without_weights(names: &BTreeSet<String>) -> String {
    let some = |what: &dyn Fn(&String) -> bool| names.iter().any(what);
    if some(&|name| [".bin", ".pt", ".pth"].iter().any(|end| name.ends_with(end)) && !name.contains("rank")) {
        return "its weights are pickles of PyTorch, which may hold any program and are not read; save the model with \
                `save_pretrained(.., safe_serialization=True)`"
            .into();
    }
    if some(&|name| PARTIAL.iter().any(|part| name.contains(part))) {
        return "the folder holds what a trainer saves while it trains, one piece for each process; put the pieces together with the \
                trainer's own tool, and name the folder that it writes"
            .into();
    }
    if some(&|name| name.ends_with(".gguf")) {
        return "its weights are in the format GGUF; this adapter reads safetensors".into();
    }
    let found: Vec<&str> = names.iter().map(String::as_str).take(8).collect();
    format!(
        "the folder holds no weights: expected model.safetensors, or model-00001-of-0000N.safetensors and so on; found {}",
        if found.is_empty() { "nothing".into() } else { found.join(", ") }
    )
}

/// The files that the index names; none if there is no index.
fn index_files(folder: &Path) -> Result<BTreeSet<String>, String> {
    let path = folder.join("model.safetensors.index.json");
    let Ok(text) = std::fs::read_to_string(&path) else { return Ok(BTreeSet::new()) };
    let index: Value = serde_json::from_str(&text).map_err(|e| format!("model.safetensors.index.json: {e}"))?;
    let map = index["weight_map"].as_object();
    let map = map.ok_or("model.safetensors.index.json has no `weight_map`; save the model again")?;
    Ok(map.values().filter_map(|file| file.as_str().map(str::to_owned)).collect())
}

/// The first file that is missing in `model-00001-of-00003.safetensors` and so on.
fn missing_of_a_series(files: &[&String]) -> Option<String> {
    let series = |name: &str| {
        let (number, total) = name.strip_prefix("model-")?.strip_suffix(".safetensors")?.split_once("-of-")?;
        Some((number.len(), total.to_owned(), total.parse::<usize>().ok()?))
    };
    let (width, text, total) = files.iter().find_map(|name| series(name))?;
    let name = |number: usize| format!("model-{number:0width$}-of-{text}.safetensors");
    (1..=total.min(10_000)).map(name).find(|name| !files.contains(&name))
}

/// Checks that a file of tensors is as long as its header says, and holds no adapters unless `has_adapters`.
fn check_whole(path: &Path, has_adapters: bool) -> Result<(), String> {
    let mut file = File::open(path).map_err(|e| e.to_string())?;
    let found = file.metadata().map_err(|e| e.to_string())?.len();
    let mut start = [0; 8];
    file.read_exact(&mut start).map_err(|_| format!("expected tensors, found {found} bytes; copy the file again"))?;
    if start.starts_with(b"version ") {
        return Err("expected tensors, found a pointer of Git LFS; fetch the file itself (`git lfs pull`)".into());
    }
    let length = u64::from_le_bytes(start);
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header).map_err(|e| e.to_string())?;
    let cut = |expected: u64| format!("expected {expected} bytes, found {found}: the file was cut off; copy it again");
    if (header.len() as u64) < length {
        return Err(match length > found.max(1 << 40) {
            true => "expected tensors in the format of safetensors, found something else".into(),
            false => cut(length.saturating_add(8)),
        });
    }
    let header: serde_json::Map<String, Value> = serde_json::from_slice(&header)
        .map_err(|e| format!("expected tensors in the format of safetensors, found a broken header ({e})"))?;
    let tensors = || header.iter().filter(|(name, _)| *name != "__metadata__");
    let adapter = tensors().find(|(name, _)| name.contains(".lora_") || name.contains(".base_layer."));
    if let Some((name, _)) = adapter.filter(|_| !has_adapters) {
        return Err(format!(
            "it holds a LoRA adapter beside the weights ({name}); merge it (`merge_and_unload` of PEFT) and save the model again"
        ));
    }
    let end = tensors().filter_map(|(_, tensor)| tensor["data_offsets"][1].as_u64()).max().unwrap_or(0);
    let expected = end.saturating_add(length).saturating_add(8);
    if expected > found { Err(cut(expected)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensors(names: &[&str]) -> Vec<u8> {
        let entries: Vec<String> = names
            .iter()
            .enumerate()
            .map(|(i, name)| {
                format!(r#""{name}":{{"dtype":"F32","shape":[1],"data_offsets":[{},{}]}}"#, 4 * i, 4 * i + 4)
            })
            .collect();
        let header = format!("{{{}}}", entries.join(","));
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(vec![0; 4 * names.len()]);
        bytes
    }

    fn check(files: &[(&str, Vec<u8>)]) -> Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        check_weight_files(folder.path())
    }

    #[test]
    fn whole_models_pass_in_one_file_or_several() {
        let (one, two) = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors");
        let index = format!(r#"{{"weight_map": {{"a": "{one}", "b": "{two}"}}}}"#).into_bytes();
        check(&[("model.safetensors", tensors(&["a", "b"]))]).unwrap();
        check(&[(one, tensors(&["a"])), (two, tensors(&["b"]))]).unwrap();
        check(&[(one, tensors(&["a"])), (two, tensors(&["b"])), ("model.safetensors.index.json", index)]).unwrap();
        check(&[
            ("model.safetensors", tensors(&["a"])),
            ("training_args.bin", vec![1]),
            ("adapter_config.json", vec![]),
        ])
        .unwrap();
    }

    #[test]
    fn folders_that_cannot_be_loaded_are_refused_by_what_is_wrong_with_them() {
        let index = |names: &[&str]| {
            let map: Vec<String> = names.iter().map(|name| format!(r#""{name}": "{name}""#)).collect();
            ("model.safetensors.index.json", format!(r#"{{"weight_map": {{{}}}}}"#, map.join(",")).into_bytes())
        };
        let (one, two) = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors");
        let whole = || tensors(&["a", "b"]);
        let mut cut = whole();
        cut.truncate(cut.len() - 3);
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0".to_vec();
        for (files, expected) in [
            (vec![], "found nothing"),
            (
                vec![("adapter_config.json", vec![]), ("adapter_model.safetensors", whole())],
                "LoRA adapter and no model",
            ),
            (vec![(one, whole())], two),
            (vec![(one, whole()), index(&[one, two])], "index.json names model-00002"),
            (vec![(one, whole()), (two, whole()), ("model.safetensors", whole()), index(&[one, two])], "remove one"),
            (vec![("model.safetensors", cut)], "cut off"),
            (vec![("model.safetensors", pointer)], "Git LFS"),
            (vec![("model.safetensors", vec![])], "found 0 bytes"),
            (vec![("model.safetensors", b"<html><body>404 not found</body></html>".to_vec())], "something else"),
            (vec![("model.safetensors", tensors(&["a.lora_A.weight"]))], "merge it"),
            (vec![("pytorch_model.bin", vec![1])], "safe_serialization"),
            (vec![("model_world_size_8_rank_0.pt", vec![1])], "trainer's own tool"),
            (vec![("model-q4.gguf", vec![1])], "GGUF"),
        ] {
            let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
            let refusal = check(&files).unwrap_err();
            assert!(refusal.contains(expected), "{names:?}: {refusal}");
        }
    }
}
