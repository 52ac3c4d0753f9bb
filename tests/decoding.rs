//! Greedy continuations against Hugging Face: no image, one, two, three of unequal sizes, both models of every family.

use crate::common::{FAMILIES, config, distance, fixture, image, json, runtime};
use replay_core::session::{Directive, Prompt, Sampling, Session as _};
use replay_mistralrs::MistralrsSession;

const TOLERANCE: f32 = 5e-5;

#[test]
fn greedy_continuations_equal_hugging_face() {
    let runtime = runtime();
    for family in FAMILIES {
        let folder = fixture(family);
        let cases = json(&folder.join("decode.json"));
        for role in ["base", "rlvr"] {
            let model = folder.join("pair").join(role);
            // A model is its own pair here; replay is off.
            let config = config(
                &model,
                &model,
                "enabled = false\nstrategy = \"substitute\"\nlayers = 1\n[replay.rank]\ntop = 1",
            );
            let session = runtime.block_on(MistralrsSession::open(&config)).unwrap();
            for case in cases.as_array().unwrap().iter().filter(|case| case["role"] == role) {
                let name = format!("{family} {role} {}", case["name"]);
                let images = case["images"].as_array().unwrap();
                let prompt = Prompt {
                    system: case["system"].as_str().map(Into::into),
                    images: images.iter().map(|name| image(&folder.join(name.as_str().unwrap()))).collect(),
                    text: case["prompt"].as_str().unwrap().into(),
                    ..Prompt::default()
                };
                let tokens = case["max_tokens"].as_u64().unwrap() as usize;
                let sampling = Sampling { max_tokens: Some(tokens), ..Sampling::default() };
                let answer = runtime.block_on(session.answer(prompt, sampling, Directive::default())).unwrap();
                assert_eq!(answer.usage.prompt_tokens as u64, case["prompt_tokens"].as_u64().unwrap(), "{name}");
                let expected: Vec<f32> = serde_json::from_value(case["logprobs"].clone()).unwrap();
                assert_eq!(answer.text(), case["text"].as_str().unwrap().trim_start(), "{name}");
                let off = distance(&answer.log_probs(), &expected);
                assert!(off <= TOLERANCE, "{name}: log-probabilities off by {off:e}");
            }
        }
    }
}
