//! Which tensors does the engine read for a configuration, and of what shapes? Asked of the engine itself, by its errors.
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use candle_core::Device;
use mistralrs_core::{DeviceMapSetting, ModelDType, MultimodalLoaderBuilder, MultimodalSpecificConfig, TokenSource};
use serde_json::{Value, json};

use super::spec::{Spec, folder};
use super::weights;
use crate::common::json as read_json;

/// Loads a family's checkpoint again and again, adding the tensor that is missing and mending the shape that is wrong, and writes the
/// shapes into its description: `FAMILY=gemma3 cargo test --test suite discover -- --ignored --nocapture`.
#[test]
#[ignore = "writes into the repository; for a new family, or one whose configuration changed"]
fn discover() {
    let family = std::env::var("FAMILY").expect("FAMILY=NAME");
    let spec = Spec::read(&family);
    let scratch = tempfile::tempdir().expect("a scratch folder");
    spec.write_files(scratch.path());
    let mut shapes = spec.shapes();
    let mut last = String::new();
    loop {
        weights::write(&scratch.path().join("model.safetensors"), &shapes, &[], false);
        let Err(why) = load(scratch.path()) else { break };
        assert_ne!(why, last, "{family}: no progress after {} tensors", shapes.len());
        if !mend(&mut shapes, &why) {
            panic!("{family}: {} tensors, then: {why}", shapes.len());
        }
        last = why;
    }
    println!("{family}: {} tensors", shapes.len());
    let path = folder().join(&family).with_extension("json");
    let mut description = read_json(&path);
    description["tensors"] = json!(folded(shapes));
    std::fs::write(path, pretty(&description)).expect("a writable repository");
}

fn load(folder: &Path) -> Result<(), String> {
    let id = folder.to_string_lossy().into_owned();
    let loader =
        MultimodalLoaderBuilder::new(MultimodalSpecificConfig::default(), None, None, Some(id), None).build(None);
    let (device, mapping) = (Device::Cpu, DeviceMapSetting::dummy());
    let loaded = catch_unwind(AssertUnwindSafe(|| {
        loader.load_model_from_hf(None, TokenSource::CacheToken, &ModelDType::F32, &device, true, mapping, None, None)
    }));
    match loaded {
        Ok(loaded) => loaded.map(drop).map_err(|e| format!("{e:#}")),
        Err(panic) => Err(panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "a panic".into())),
    }
}

/// Adds the tensor that an error asks for, or gives one the shape that it asks for.
fn mend(shapes: &mut BTreeMap<String, Vec<usize>>, why: &str) -> bool {
    let after = |text: &str| {
        let rest = &why[why.find(text)? + text.len()..];
        Some(rest.split([' ', '\n', ',', ';']).next()?.trim_end_matches(['.', '"', ':']).to_string())
    };
    if let Some(name) = after("cannot find tensor ") {
        return shapes.insert(name, vec![1]).is_none();
    }
    let Some(name) = after("shape mismatch for ") else { return false };
    let expected = why.find("expected: [").map(|at| &why[at + "expected: [".len()..]);
    let numbers = expected.and_then(|rest| rest.split(']').next());
    let shape = numbers.map(|numbers| numbers.split(", ").map(|number| number.parse().expect("a size")).collect());
    shape.is_some_and(|shape| shapes.insert(name, shape).is_some())
}

/// Names that differ in one number only, over a whole range of it, are written as one.
fn folded(shapes: BTreeMap<String, Vec<usize>>) -> BTreeMap<String, Vec<usize>> {
    let mut groups: BTreeMap<(String, Vec<usize>), Vec<usize>> = BTreeMap::new();
    let mut folded = BTreeMap::new();
    for (name, shape) in shapes {
        let parts: Vec<&str> = name.split('.').collect();
        match parts.iter().position(|part| part.parse::<usize>().is_ok()) {
            Some(at) => {
                let number = parts[at].parse().expect("a number");
                let pattern = [&parts[..at], &["{}"], &parts[at + 1..]].concat().join(".");
                groups.entry((pattern, shape)).or_default().push(number);
            }
            None => {
                folded.insert(name, shape);
            }
        }
    }
    for ((pattern, shape), mut numbers) in groups {
        numbers.sort_unstable();
        for run in numbers.chunk_by(|a, b| a + 1 == *b) {
            let (first, last) = (run[0], run[run.len() - 1]);
            let range = if first == last { first.to_string() } else { format!("{{{first}..{}}}", last + 1) };
            folded.insert(pattern.replacen("{}", &range, 1), shape.clone());
        }
    }
    folded
}

/// One entry a line.
fn pretty(description: &Value) -> String {
    let table = |value: &Value| {
        let lines: Vec<String> = value
            .as_object()
            .expect("a table")
            .iter()
            .map(|(key, value)| format!("    {}: {value}", json!(key)))
            .collect();
        format!("{{\n{}\n  }}", lines.join(",\n"))
    };
    let entries: Vec<String> = description
        .as_object()
        .expect("a table")
        .iter()
        .map(|(key, value)| {
            format!("  {}: {}", json!(key), if value.is_object() { table(value) } else { value.to_string() })
        })
        .collect();
    format!("{{\n{}\n}}\n", entries.join(",\n"))
}
