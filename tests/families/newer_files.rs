//! Models whose `config.json` transformers 5 has written compute what the same models compute with that of the published ones.
use serde_json::{Map, Value, json};

use super::matrix::picture;
use super::spec::{Spec, names};
use crate::common::{config, runtime};
use replay_core::session::{Directive, Prompt, Sampling, Session as _};
use replay_mistralrs::MistralrsSession;
use replay_mistralrs::families::Family;

/// Keys that Qwen2-VL and Qwen2.5-VL keep at the top.
const TOP: [&str; 8] = [
    "architectures",
    "model_type",
    "vision_config",
    "text_config",
    "tie_word_embeddings",
    "image_token_id",
    "video_token_id",
    "vision_start_token_id",
];

/// `None` where the published file has no rotary parameters, or has them as transformers 5 does.
fn as_transformers_5_writes(mut config: Value) -> Option<Value> {
    let flat = config.get("text_config").is_none();
    let is_qwen2 = config["model_type"].as_str().is_some_and(|kind| kind.starts_with("qwen2"));
    let all = config.as_object_mut()?;
    if flat && !is_qwen2 {
        // Their files come from code of their own.
        return None;
    }
    if flat {
        let moved: Vec<String> = all.keys().filter(|key| !TOP.contains(&key.as_str())).cloned().collect();
        let text: Map<String, Value> =
            moved.into_iter().filter_map(|key| Some((key.clone(), all.remove(&key)?))).collect();
        all.insert("text_config".into(), Value::Object(text));
    }
    let text = all.get_mut("text_config")?.as_object_mut()?;
    let theta = text.remove("rope_theta")?;
    let mut parameters = match text.remove("rope_scaling") {
        Some(Value::Object(scaling)) => scaling,
        _ => Map::from_iter([("rope_type".into(), json!("default"))]),
    };
    parameters.insert("rope_theta".into(), theta);
    let parameters = match text.remove("rope_local_base_freq") {
        Some(local) => {
            json!({"full_attention": parameters, "sliding_attention": {"rope_type": "default", "rope_theta": local}})
        }
        None => Value::Object(parameters),
    };
    text.insert("rope_parameters".into(), parameters);
    Some(config)
}

#[test]
fn configurations_of_transformers_5_compute_the_same() {
    let mut told = 0;
    for name in names() {
        let mut spec = Spec::read(&name);
        if name == "gemma3" {
            let text = spec.config["text_config"].as_object_mut().expect("a text model");
            text.insert("rope_theta".into(), json!(1e5));
            text.insert("rope_local_base_freq".into(), json!(1e3));
            text.insert("rope_scaling".into(), json!({"rope_type": "linear", "factor": 4.0}));
        }
        let Some(newer) = as_transformers_5_writes(spec.config.clone()) else { continue };
        let family = Family::of(&spec.config).expect("a family with a profile");
        let positions = if family.has_visual_rows { "visual" } else { "all" };
        let replay = format!("strategy = \"substitute\"\nlayers = 2\npositions = \"{positions}\"\nrank.quantile = 0.5");
        let folder = tempfile::tempdir().expect("a scratch folder");
        let (base, rlvr) = spec.write_pair(folder.path());
        let first = || {
            let prompt = Prompt { images: vec![picture(60, 50)], text: "What is this?".into(), ..Prompt::default() };
            let sampling = Sampling { max_tokens: Some(1), ..Sampling::default() };
            runtime().block_on(async {
                let session = MistralrsSession::open(&config(&base, &rlvr, &replay))
                    .await
                    .unwrap_or_else(|e| panic!("{name}: {e}"));
                let answer = session.answer(prompt, sampling, Directive::default()).await.expect("an answer");
                answer.first_token
            })
        };
        let published = first();
        // The RLVR model was saved by a newer version than the base, and then both.
        for model in [&rlvr, &base] {
            std::fs::write(model.join("config.json"), newer.to_string()).expect("a writable folder");
            assert_eq!(published, first(), "{name}");
        }
        told += 1;
    }
    assert!(told >= 10, "{told} families");
}
