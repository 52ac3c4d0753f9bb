//! Each engine fix has a test that fails without it. What other tests cover: image splice, decode positions and indices, GELU and
//! attention precision (decoding.rs, parity.rs); batched images, batched text rows, scheduling (concurrency.rs); inputs refused
//! at the door (attacks.rs); clients that go away (invariants.rs). Here is the rest.
use crate::common;

use std::path::Path;
use std::sync::Arc;

use crate::common::{SUBSTITUTE, change, config, copied, distance, fixture, prompt, runtime, session};
use image::{DynamicImage, RgbImage};
use replay_mistralrs::{Answer, Directive, Mode, Prompt, Sampling, Session};

const FAMILY: &str = "qwen2_5_vl";
const OFF: Directive = Directive { mode: Mode::Off, trace: false };

/// The RLVR model of a fixture with some of its files altered.
async fn altered(alter: impl FnOnce(&Path)) -> (tempfile::TempDir, Session) {
    let (folder, _, model) = copied(FAMILY);
    alter(&model);
    let off = format!("enabled = false\n{SUBSTITUTE}");
    let session = Session::open(&config(&model, &model, &off)).await.unwrap();
    (folder, session)
}

async fn ask(session: &Session, prompt: Prompt, max_tokens: usize) -> Answer {
    session.ask(prompt, Sampling { max_tokens, ..Sampling::default() }, OFF).await.unwrap()
}

/// Hugging Face's continuation of the golden prompt.
fn golden() -> (Prompt, String, Vec<f32>) {
    let cases = common::json(&fixture(FAMILY).join("decode.json"));
    let case = cases.as_array().unwrap().iter().find(|c| c["role"] == "rlvr" && c["name"] == "one image").unwrap();
    let log_probs = serde_json::from_value(case["logprobs"].clone()).unwrap();
    (prompt(FAMILY, &["image.png"], case["prompt"].as_str().unwrap()), case["text"].as_str().unwrap().into(), log_probs)
}

#[test]
fn a_sliding_window_that_is_not_used_is_not_applied() {
    runtime().block_on(async {
        let (_folder, session) = altered(|model| {
            change(&model.join("config.json"), |config| config["sliding_window"] = 8.into());
        })
        .await;
        let (prompt, text, log_probs) = golden();
        let answer = ask(&session, prompt, log_probs.len()).await;
        assert_eq!(answer.texts[0], text);
        assert!(distance(&answer.log_probs[0], &log_probs) < 5e-5);
    });
}

#[test]
fn generated_text_that_does_not_round_trip_is_decoded_all_the_same() {
    runtime().block_on(async {
        // "UU" becomes a token, so that what the model says, U after U, is not what its text would be tokenised to.
        let (_folder, session) = altered(|model| {
            change(&model.join("tokenizer.json"), |tokenizer| {
                let vocabulary = tokenizer["model"]["vocab"].as_object_mut().unwrap();
                let spare = vocabulary.remove("~").unwrap();
                vocabulary.insert("UU".into(), spare);
                tokenizer["model"]["merges"] = serde_json::json!([["U", "U"]]);
            });
        })
        .await;
        let (prompt, text, log_probs) = golden();
        assert!(text.starts_with("UUUU"));
        let answer = ask(&session, prompt, log_probs.len()).await;
        assert_eq!(answer.texts[0], text);
        assert!(distance(&answer.log_probs[0], &log_probs) < 5e-5);
    });
}

#[test]
fn images_of_the_same_bytes_and_other_dimensions_are_two_images() {
    runtime().block_on(async {
        let bytes: Vec<u8> = (0..84 * 56 * 3).map(|i: usize| (i * 7 % 251) as u8).collect();
        let image = |width, height| DynamicImage::ImageRgb8(RgbImage::from_raw(width, height, bytes.clone()).unwrap());
        let prompt = |width, height| Prompt { system: None, images: vec![image(width, height)], text: "What?".into() };
        let off = format!("enabled = false\n{SUBSTITUTE}");
        let fresh = ask(&session(FAMILY, &off).await, prompt(56, 84), 6).await;
        let both = session(FAMILY, &off).await;
        let wide = ask(&both, prompt(84, 56), 6).await;
        let tall = ask(&both, prompt(56, 84), 6).await;
        assert_eq!(tall.log_probs, fresh.log_probs);
        assert_ne!(tall.log_probs, wide.log_probs);
    });
}

#[test]
fn a_sequence_that_is_done_at_its_first_token_stops_there() {
    runtime().block_on(async {
        let session = session(FAMILY, SUBSTITUTE).await;
        let answer = ask(&session, prompt(FAMILY, &["image.png"], "What is in the picture?"), 1).await;
        assert_eq!((answer.usage.completion_tokens, answer.finish_reasons[0].as_str()), (1, "length"));
    });
}

#[test]
fn a_failing_prompt_leaves_running_completions_alone() {
    runtime().block_on(async {
        let off = format!("enabled = false\n{SUBSTITUTE}");
        let session = Arc::new(session(FAMILY, &off).await);
        let long = || prompt(FAMILY, &["image.png"], "What is in the picture?");
        let alone = ask(&session, long(), 60).await;
        let running = {
            let (session, prompt) = (session.clone(), long());
            tokio::spawn(async move { ask(&session, prompt, 60).await })
        };
        for _ in 0..4 {
            tokio::time::sleep(std::time::Duration::from_millis(8)).await;
            // Longer than the model's positions: its forward fails.
            let failing = prompt(FAMILY, &[], &"x".repeat(4090));
            let sampling = Sampling { max_tokens: 60, ..Sampling::default() };
            let _ = session.ask(failing, sampling, OFF).await;
        }
        let off = distance(&running.await.unwrap().log_probs[0], &alone.log_probs[0]);
        assert!(off < 2e-5, "{off:e}");
    });
}

#[test]
fn image_sides_half_way_between_two_multiples_are_rounded_to_even() {
    runtime().block_on(async {
        let off = format!("enabled = false\n{SUBSTITUTE}");
        let session = session(FAMILY, &off).await;
        let tokens = |width, height| Prompt {
            system: None,
            images: vec![DynamicImage::ImageRgb8(RgbImage::new(width, height))],
            text: "What?".into(),
        };
        // 70 = 2.5 * 28 becomes 56, as the published processors make it; 98 = 3.5 * 28 becomes 112.
        let count = |answer: Answer| answer.usage.prompt_tokens;
        let reference = count(ask(&session, tokens(56, 112), 1).await);
        assert_eq!(count(ask(&session, tokens(70, 98), 1).await), reference);
    });
}

#[test]
fn prompts_that_share_a_prefix_answer_as_alone() {
    runtime().block_on(async {
        let off = format!("enabled = false\n{SUBSTITUTE}");
        let prompts = || {
            let text = |text: &str| prompt("qwen3_vl", &[], text);
            let image = |text: &str| prompt("qwen3_vl", &["image.png"], text);
            [text("Name three colours."), text("Name three birds."), image("Name three birds."), image("Name three colours.")]
        };
        let together = session("qwen3_vl", &off).await;
        for (index, prompt) in prompts().into_iter().enumerate() {
            let alone = ask(&session("qwen3_vl", &off).await, prompt.clone(), 8).await;
            let after = ask(&together, prompt, 8).await;
            let off = distance(&alone.log_probs[0], &after.log_probs[0]);
            assert!(off < 1e-5, "prompt {index}: {off:e}");
        }
    });
}
