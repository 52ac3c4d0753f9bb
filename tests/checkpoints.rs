//! Checkpoints as trainers and newer libraries write them: each answers as the plain pair does, to the bit, or is refused by what is wrong.
use std::collections::HashMap;
use std::path::Path;

use crate::common::repository;
use crate::evidence::{replay, shown};
use candle_core::{Device, Tensor, safetensors};
use serde_json::{Value, json};

type Change<'a> = &'a dyn Fn(&Path);

/// The shipped pair with these changes to its base and its RLVR model, asked one question. Returns the answer and what replay did to each
/// layer, or the message, and the log.
fn asked(base: Change<'_>, rlvr: Change<'_>) -> (Result<(Value, Value), String>, String) {
    let folder = tempfile::tempdir().unwrap();
    for (role, change) in [("base", base), ("rlvr", rlvr)] {
        let (from, to) = (repository().join("examples/models/counting").join(role), folder.path().join(role));
        std::fs::create_dir(&to).unwrap();
        for file in std::fs::read_dir(from).unwrap().flatten() {
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
        change(&to);
    }
    let file = folder.path().join("replay.toml");
    let replayed = "strategy = \"substitute\"\nlayers = 6\nmeasure_kl = true\n[replay.rank]\nfraction_of_max = 0.92\n";
    let pair = "adapter = \"mistralrs\"\n[pair]\nbase = \"base\"\nrlvr = \"rlvr\"\n[replay]\n";
    std::fs::write(&file, format!("{pair}{replayed}")).unwrap();
    let (config, image) = (shown(&file), shown(&repository().join("examples/images/000.png")));
    let (code, text, log) =
        replay(&["run", "--config", &config, "--image", &image, "--prompt", "How many red shapes?", "--json"]);
    assert!(!log.contains("panicked"), "{log}");
    match code {
        0 => {
            let answer: Value = serde_json::from_str(&text).unwrap();
            (Ok((answer["text"].clone(), answer["replay"]["layers"].clone())), log)
        }
        _ => (Err(log.clone()), log),
    }
}

fn same(_: &Path) {}

fn edit(folder: &Path, file: &str, change: impl FnOnce(&mut serde_json::Map<String, Value>)) {
    let path = folder.join(file);
    let mut value: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(value.as_object_mut().unwrap());
    std::fs::write(path, value.to_string()).unwrap();
}

fn remove(folder: &Path, files: &[&str]) {
    files.iter().for_each(|file| std::fs::remove_file(folder.join(file)).unwrap());
}

fn weights(folder: &Path, change: impl FnOnce(HashMap<String, Tensor>) -> HashMap<String, Tensor>) {
    let path = folder.join("model.safetensors");
    let tensors = change(safetensors::load(&path, &Device::Cpu).unwrap());
    std::fs::remove_file(&path).unwrap();
    safetensors::save(&tensors, path).unwrap();
}

fn renamed(folder: &Path, name: impl Fn(&str) -> String) {
    weights(folder, |tensors| tensors.into_iter().map(|(old, tensor)| (name(&old), tensor)).collect());
}

/// As transformers names tensors from 4.52 on.
fn newer_name(name: &str) -> String {
    match name.strip_prefix("model.") {
        Some(rest) => format!("model.language_model.{rest}"),
        None if name.starts_with("visual.") => format!("model.{name}"),
        None => name.into(),
    }
}

/// Rows of large values after the vocabulary.
fn padded(folder: &Path) {
    let rows = 16;
    weights(folder, |tensors| {
        let pad = |(name, tensor): (String, Tensor)| {
            let padding = (Tensor::ones((rows, 128), tensor.dtype(), tensor.device()).unwrap() * 0.01).unwrap();
            let is_vocabulary = name.contains("embed_tokens") || name.contains("lm_head");
            let tensor = if is_vocabulary { Tensor::cat(&[&tensor, &padding], 0).unwrap() } else { tensor };
            (name, tensor)
        };
        tensors.into_iter().map(pad).collect()
    });
    edit(folder, "config.json", |config| {
        let padded = config["vocab_size"].as_u64().unwrap() + rows as u64;
        config.insert("vocab_size".into(), padded.into());
    });
}

/// The weights in two files with an index.
fn sharded(folder: &Path) {
    let path = folder.join("model.safetensors");
    let tensors = safetensors::load(&path, &Device::Cpu).unwrap();
    std::fs::remove_file(path).unwrap();
    let mut map = serde_json::Map::new();
    let (visual, rest): (HashMap<_, _>, HashMap<_, _>) =
        tensors.into_iter().partition(|(name, _)| name.starts_with("visual."));
    for (index, part) in [visual, rest].into_iter().enumerate() {
        let file = format!("model-0000{}-of-00002.safetensors", index + 1);
        map.extend(part.keys().map(|name| (name.clone(), json!(file))));
        safetensors::save(&part, folder.join(file)).unwrap();
    }
    std::fs::write(folder.join("model.safetensors.index.json"), json!({ "weight_map": map }).to_string()).unwrap();
}

fn sizes(folder: &Path) {
    edit(folder, "preprocessor_config.json", |settings| {
        let (least, most) = (settings.remove("min_pixels").unwrap(), settings.remove("max_pixels").unwrap());
        settings.insert("size".into(), json!({"shortest_edge": least, "longest_edge": most}));
    });
}

fn nested(folder: &Path) {
    sizes(folder);
    let path = folder.join("preprocessor_config.json");
    let settings: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    std::fs::write(folder.join("processor_config.json"), json!({"image_processor": settings}).to_string()).unwrap();
    std::fs::remove_file(path).unwrap();
}

/// Both spellings, of which `size` would make the images of this test larger.
fn both_spellings(folder: &Path) {
    edit(folder, "preprocessor_config.json", |settings| {
        settings.insert("size".into(), json!({"shortest_edge": 1_003_520, "longest_edge": 12_845_056}));
    });
}

const SMALL: [&str; 4] =
    ["preprocessor_config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"];

#[test]
fn a_checkpoint_in_another_form_answers_as_the_plain_one() {
    let plain = asked(&same, &same).0.unwrap();
    let architectures = |value: Value| {
        move |folder: &Path| {
            edit(folder, "config.json", |config| {
                config.insert("architectures".into(), value.clone());
            })
        }
    };
    let (inner, list, text, none) = (
        architectures(json!(["Qwen2_5_VLModel"])),
        architectures(json!(["Actor", "Qwen2_5_VLForConditionalGeneration"])),
        architectures(json!("Qwen2_5_VLForConditionalGeneration")),
        architectures(Value::Null),
    );
    let prefixed = |prefix: &'static str| move |folder: &Path| renamed(folder, |name| format!("{prefix}{name}"));
    let (module, peft, compiled) = (prefixed("module."), prefixed("base_model.model."), prefixed("_orig_mod."));
    let wrapped = |folder: &Path| renamed(folder, |name| name.replace("layers.0.", "layers.0._fsdp_wrapped_module."));
    let newer = |folder: &Path| renamed(folder, newer_name);
    let ends = |folder: &Path| {
        edit(folder, "generation_config.json", |config| {
            let end = config["eos_token_id"].clone();
            config.insert("eos_token_id".into(), json!([end, 99_999]));
        })
    };
    let listed = |folder: &Path| {
        edit(folder, "tokenizer_config.json", |config| {
            config.insert("extra_special_tokens".into(), json!(["<a>"]));
            config.insert("additional_special_tokens".into(), json!([{"content": "<b>", "lstrip": false}]));
        })
    };
    let objects = |folder: &Path| {
        edit(folder, "tokenizer_config.json", |config| {
            config.insert("extra_special_tokens".into(), json!({"a": "<a>"}));
            let end = config["eos_token"].clone();
            config.insert("eos_token".into(), json!({"content": end, "__type": "AddedToken"}));
        })
    };
    let template = |folder: &Path| {
        edit(folder, "tokenizer_config.json", |config| {
            let template = config.remove("chat_template").unwrap();
            std::fs::write(folder.join("chat_template.jinja"), template.as_str().unwrap()).unwrap();
        })
    };
    let cases: [(&str, Change<'_>, Change<'_>); 23] = [
        ("size in both", &sizes, &sizes),
        ("size in one", &same, &sizes),
        ("nested in both", &nested, &nested),
        ("nested in one", &nested, &same),
        ("both spellings", &both_spellings, &both_spellings),
        ("newer names", &same, &newer),
        ("newer names in both", &newer, &newer),
        ("module.", &same, &module),
        ("base_model.model.", &peft, &same),
        ("_orig_mod.", &same, &compiled),
        ("_fsdp_wrapped_module.", &same, &wrapped),
        ("shards", &same, &sharded),
        ("padded RLVR model", &same, &padded),
        ("padded base", &padded, &same),
        ("inner architecture", &same, &inner),
        ("several architectures", &same, &list),
        ("architecture as text", &same, &text),
        ("no architecture", &none, &none),
        ("an end that is no token", &same, &ends),
        ("tokens as a list", &same, &listed),
        ("tokens as objects", &same, &objects),
        ("template in a file", &same, &template),
        ("weights alone", &same, &|folder| remove(folder, &SMALL)),
    ];
    for (name, base, rlvr) in cases {
        let (answer, log) = asked(base, rlvr);
        assert_eq!(answer, Ok(plain.clone()), "{name}");
        if name == "weights alone" {
            assert!(SMALL.iter().all(|file| log.contains(file)), "what is taken from the other model is said: {log}");
        }
        if name == "an end that is no token" {
            assert!(log.contains("99999"), "{log}");
        }
    }
}

#[test]
fn a_checkpoint_that_cannot_be_loaded_is_refused_by_what_is_wrong() {
    let lost = |folder: &Path| {
        sharded(folder);
        remove(folder, &["model-00002-of-00002.safetensors"]);
    };
    let adapter = |folder: &Path| {
        std::fs::write(folder.join("adapter_config.json"), "{}").unwrap();
        std::fs::rename(folder.join("model.safetensors"), folder.join("adapter_model.safetensors")).unwrap();
    };
    let text_model = |folder: &Path| {
        edit(folder, "config.json", |config| {
            config.remove("architectures");
            config.insert("model_type".into(), "qwen2".into());
        })
    };
    let endless = |folder: &Path| {
        remove(folder, &["generation_config.json"]);
        edit(folder, "tokenizer_config.json", |config| drop(config.insert("eos_token".into(), "<gone>".into())));
    };
    let broken = |folder: &Path| std::fs::write(folder.join("preprocessor_config.json"), "{\"min_pixels\": ").unwrap();
    let cases: [(&str, Change<'_>, Change<'_>); 6] = [
        ("names model-00002-of-00002.safetensors, which is not in the folder", &same, &lost),
        ("LoRA adapter and no model", &same, &adapter),
        ("no profile for architecture qwen2", &same, &text_model),
        ("\"<gone>\", which tokenizer.json lacks", &endless, &endless),
        ("preprocessor_config.json: EOF", &same, &broken),
        ("the folder holds no weights", &same, &|folder| remove(folder, &["model.safetensors"])),
    ];
    for (expected, base, rlvr) in cases {
        let message = asked(base, rlvr).0.unwrap_err();
        assert!(message.contains(expected), "expected {expected:?}, got {message}");
    }
}
