//! Each engine fix has a test that fails without it. What other tests cover: image splice, decode positions and indices, GELU and
//! attention precision (decoding.rs, parity.rs); batched images, batched text rows, scheduling (concurrency.rs, soak.rs); inputs refused
//! at the door (attacks.rs); videos (families/rows.rs); PagedAttention (paged.rs). Here is the rest. Not covered: what only a third prefill
//! of a sequence shows.
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use candle_core::Tensor;
use image::RgbImage;
use mistralrs_core::{CustomLogitsProcessor, NormalRequest, Request, RequestMessage, Response, SamplingParams};
use replay_core::session::{Answer, Directive, Mode, Picture, Prompt, Sampling, Session as _, SessionError};
use replay_mistralrs::MistralrsSession;
use tokio::sync::mpsc;

use crate::common::{FAMILIES, SUBSTITUTE, change, config, copied, distance, fixture, prompt, runtime, session, shown};
use crate::families::{Spec, picture};

const FAMILY: &str = "qwen2_5_vl";
const OFF: Directive = Directive { mode: Mode::Off, profile: None, trace: false, observe: false, fresh: false };

/// The RLVR model of a fixture with some of its files altered.
async fn altered(family: &str, alter: impl FnOnce(&Path)) -> (tempfile::TempDir, MistralrsSession) {
    let (folder, _, model) = copied(family);
    alter(&model);
    let off = format!("enabled = false\n{SUBSTITUTE}");
    let session = MistralrsSession::open(&config(&model, &model, &off)).await.unwrap();
    (folder, session)
}

async fn ask(session: &MistralrsSession, prompt: Prompt, max_tokens: usize) -> Answer {
    session.answer(prompt, Sampling { max_tokens: Some(max_tokens), ..Sampling::default() }, OFF).await.unwrap()
}

/// Hugging Face's continuation of a prompt with one image.
fn golden(family: &str) -> (Prompt, String, Vec<f32>) {
    let cases = crate::common::json(&fixture(family).join("decode.json"));
    let case = cases.as_array().unwrap().iter().find(|c| c["role"] == "rlvr" && c["name"] == "one image").unwrap();
    let log_probs = serde_json::from_value(case["logprobs"].clone()).unwrap();
    (prompt(family, &["image.png"], case["prompt"].as_str().unwrap()), case["text"].as_str().unwrap().into(), log_probs)
}

async fn answers_like_hugging_face(family: &str, session: &MistralrsSession) {
    let (prompt, text, log_probs) = golden(family);
    let answer = ask(session, prompt, log_probs.len()).await;
    assert_eq!(answer.text(), text.trim_start(), "{family}");
    let off = distance(&answer.log_probs(), &log_probs);
    assert!(off < 5e-5, "{family}: {off:e}");
}

/// A text request with a processor of its logits, straight to the engine.
fn raw(
    session: &MistralrsSession,
    text: &str,
    chat: bool,
    look: Arc<dyn CustomLogitsProcessor>,
) -> (Request, mpsc::Receiver<Response>) {
    let (sender, receiver) = mpsc::channel(4);
    let message = [("role", "user"), ("content", text)];
    let message = message.map(|(key, value)| (key.to_string(), either::Either::Left(value.to_string())));
    let messages = match chat {
        true => RequestMessage::Chat {
            messages: vec![message.into_iter().collect()],
            enable_thinking: None,
            reasoning_effort: None,
        },
        false => RequestMessage::Completion { text: text.into(), echo_prompt: false, best_of: None },
    };
    let mut params = SamplingParams::deterministic();
    params.max_len = Some(3);
    let id = session.engine().next_request_id();
    let mut request = NormalRequest::new_simple(messages, params, sender, id, None, None);
    request.logits_processors = Some(vec![look]);
    (Request::Normal(Box::new(request)), receiver)
}

async fn send(session: &MistralrsSession, request: Request) {
    session.engine().get_sender(None).unwrap().send(request).await.unwrap();
}

/// Fails the step of its request, at this generated token.
fn failing(at: usize) -> Arc<dyn CustomLogitsProcessor> {
    let seen = AtomicUsize::new(0);
    Arc::new(move |logits: &Tensor, _: &[u32]| {
        if seen.fetch_add(1, Ordering::SeqCst) == at {
            candle_core::bail!("on purpose")
        }
        Ok(logits.clone())
    })
}

#[test]
fn a_sliding_window_that_is_not_used_is_not_applied() {
    runtime().block_on(async {
        for family in ["qwen2_vl", "qwen2_5_vl"] {
            let (_folder, session) = altered(family, |model| {
                change(&model.join("config.json"), |config| config["sliding_window"] = 8.into());
            })
            .await;
            answers_like_hugging_face(family, &session).await;
        }
    });
}

#[test]
fn generated_text_that_does_not_round_trip_is_decoded_all_the_same() {
    runtime().block_on(async {
        for family in FAMILIES {
            let (prompt, text, _) = golden(family);
            // Two letters that the model says one after the other become one token, so that its text would be tokenised otherwise.
            let plain = |c: &char| c.is_ascii_graphic();
            let letters: Vec<char> = text.chars().collect();
            let pair = letters
                .windows(2)
                .find(|pair| pair.iter().all(plain) && !prompt.text.contains(&pair.iter().collect::<String>()));
            let pair = pair.unwrap_or_else(|| panic!("{family}: no pair in {text:?}"));
            let spare =
                ('!'..='~').find(|c| !text.contains(*c) && !prompt.text.contains(*c) && c.is_ascii_punctuation());
            let spare = spare.filter(|c| !"<|>_".contains(*c)).unwrap_or('~').to_string();
            let (_folder, session) = altered(family, |model| {
                change(&model.join("tokenizer.json"), |tokenizer| {
                    let vocabulary = tokenizer["model"]["vocab"].as_object_mut().unwrap();
                    let id = vocabulary.remove(&spare).unwrap();
                    vocabulary.insert(pair.iter().collect(), id);
                    tokenizer["model"]["merges"] = serde_json::json!([[pair[0].to_string(), pair[1].to_string()]]);
                });
            })
            .await;
            answers_like_hugging_face(family, &session).await;
        }
    });
}

#[test]
fn images_of_the_same_bytes_and_other_dimensions_are_two_images() {
    runtime().block_on(async {
        let bytes: Vec<u8> = (0..84 * 56 * 3).map(|i: usize| (i * 7 % 251) as u8).collect();
        let image = |width, height| Picture::rgb8(width, height, bytes.clone()).unwrap();
        let prompt =
            |width, height| Prompt { images: vec![image(width, height)], text: "What?".into(), ..Prompt::default() };
        let off = format!("enabled = false\n{SUBSTITUTE}");
        let fresh = ask(&session(FAMILY, &off).await, prompt(56, 84), 6).await;
        let both = session(FAMILY, &off).await;
        let wide = ask(&both, prompt(84, 56), 6).await;
        let tall = ask(&both, prompt(56, 84), 6).await;
        assert_eq!(tall.log_probs(), fresh.log_probs());
        assert_ne!(tall.log_probs(), wide.log_probs());
    });
}

#[test]
fn a_sequence_that_is_done_at_its_first_token_stops_there() {
    runtime().block_on(async {
        let session = session(FAMILY, SUBSTITUTE).await;
        let steps = Arc::new(AtomicUsize::new(0));
        let count = steps.clone();
        let look = move |logits: &Tensor, _: &[u32]| {
            count.fetch_add(1, Ordering::SeqCst);
            Ok(logits.clone())
        };
        let (request, mut answer) = raw(&session, "Name three colours.", true, Arc::new(look));
        let Request::Normal(mut request) = request else { unreachable!() };
        request.sampling_params.max_len = Some(1);
        send(&session, Request::Normal(request)).await;
        assert!(matches!(answer.recv().await, Some(Response::Done(_))));
        // A sequence that went on would be stepped together with this.
        ask(&session, prompt(FAMILY, &[], "Name three birds."), 5).await;
        assert_eq!(steps.load(Ordering::SeqCst), 1);
    });
}

/// A model whose cache cannot grow past 512 positions, and which fails on every image (its processor counts other visual tokens
/// than it makes): steps fail at a prompt, or at a later token.
async fn failing_model() -> (tempfile::TempDir, Arc<MistralrsSession>) {
    let (folder, session) = altered(FAMILY, |model| {
        change(&model.join("config.json"), |config| config["max_position_embeddings"] = 600.into());
        change(&model.join("preprocessor_config.json"), |preprocessor| preprocessor["merge_size"] = 1.into());
    })
    .await;
    (folder, Arc::new(session))
}

#[test]
fn failing_steps_leave_running_completions_alone() {
    runtime().block_on(async {
        let (_folder, session) = failing_model().await;
        let question = || prompt(FAMILY, &[], "Name three birds.");
        let alone = ask(&session, question(), 400).await;
        let running = {
            let session = session.clone();
            tokio::spawn(async move { ask(&session, question(), 400).await })
        };
        let long = || prompt(FAMILY, &[], &"x".repeat(485));
        let image = || prompt(FAMILY, &["image_small.png"], "What?");
        for failing in [image(), long(), image(), long()] {
            tokio::time::sleep(Duration::from_millis(5)).await;
            let sampling = Sampling { max_tokens: Some(20), ..Sampling::default() };
            let failed = session.answer(failing, sampling, OFF).await;
            assert!(matches!(&failed, Err(SessionError::Engine(_))), "{failed:?}");
            assert!(!running.is_finished(), "the completion has to run beside it");
        }
        let off = distance(&running.await.unwrap().log_probs(), &alone.log_probs());
        assert!(off < 2e-5, "{off:e}");
    });
}

#[test]
fn requests_that_fail_or_whose_clients_went_away_harm_nobody() {
    runtime().block_on(async {
        let (_folder, session) = failing_model().await;
        // Of the same length, so that they share batches; or too long for the cache.
        let (question, other) = ("Name three birds..", "Name three colours");
        let alone = ask(&session, prompt(FAMILY, &[], question), 40).await;
        for chat in [true, false] {
            // 512 tokens, with the 19 of the template or without.
            let long = "x".repeat(if chat { 493 } else { 512 });
            for (text, fails_at) in [(other, 0), (other, 1), (other, usize::MAX), (long.as_str(), usize::MAX)] {
                for stays in [true, false] {
                    let beside = {
                        let (session, prompt) = (session.clone(), prompt(FAMILY, &[], question));
                        tokio::spawn(async move { ask(&session, prompt, 40).await })
                    };
                    let (request, answer) = raw(&session, text, chat, failing(fails_at));
                    let answer = stays.then_some(answer);
                    send(&session, request).await;
                    let off = distance(&beside.await.unwrap().log_probs(), &alone.log_probs());
                    assert!(off < 2e-5, "chat {chat}, stays {stays}: {off:e}");
                    drop(answer);
                }
            }
        }
    });
}

#[test]
fn a_client_that_goes_away_ends_its_generation() {
    runtime().block_on(async {
        let off = format!("enabled = false\n{SUBSTITUTE}");
        let session = session(FAMILY, &off).await;
        let steps = Arc::new(AtomicUsize::new(0));
        let count = steps.clone();
        let look = move |logits: &Tensor, _: &[u32]| {
            count.fetch_add(1, Ordering::SeqCst);
            Ok(logits.clone())
        };
        let (request, answer) = raw(&session, "Name three colours.", true, Arc::new(look));
        let Request::Normal(mut request) = request else { unreachable!() };
        request.sampling_params.max_len = Some(3000);
        send(&session, Request::Normal(request)).await;
        while steps.load(Ordering::SeqCst) < 5 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        drop(answer);
        ask(&session, prompt(FAMILY, &[], "Name three birds."), 5).await;
        let stopped = steps.load(Ordering::SeqCst);
        ask(&session, prompt(FAMILY, &[], "Name three birds."), 20).await;
        assert_eq!(steps.load(Ordering::SeqCst), stopped, "it goes on without its client");
    });
}

#[test]
fn image_sides_half_way_between_two_multiples_are_rounded_to_even() {
    runtime().block_on(async {
        let off = format!("enabled = false\n{SUBSTITUTE}");
        for (family, side) in [("qwen2_vl", 28), ("qwen2_5_vl", 28), ("qwen3_vl", 32)] {
            let session = session(family, &off).await;
            let image = |width: u32, height: u32| Prompt {
                images: vec![shown(&RgbImage::new(width, height).into())],
                text: "What?".into(),
                ..Prompt::default()
            };
            // 4.5 tokens a side become 4, as the published processors make it, and 5.5 become 6.
            let reference = ask(&session, image(4 * side, 6 * side), 1).await.usage.prompt_tokens;
            let halves = ask(&session, image(4 * side + side / 2, 5 * side + side / 2), 1).await.usage.prompt_tokens;
            assert_eq!(halves, reference, "{family}");
        }
    });
}

/// Phi-4 resizes the images of a prompt to the largest of them.
#[test]
fn an_image_that_was_seen_alone_can_be_seen_beside_a_larger_one() {
    runtime().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let (_, model) = Spec::read("phi4_mm").write_pair(folder.path());
        let open = async || {
            let off = format!("enabled = false\n{SUBSTITUTE}");
            MistralrsSession::open(&config(&model, &model, &off)).await.unwrap()
        };
        let show = |sizes: &[(u32, u32)]| {
            let images = sizes.iter().map(|&(width, height)| picture(width, height)).collect();
            Prompt { images, text: "What?".into(), ..Prompt::default() }
        };
        let (small, large) = ((56, 84), (112, 84));
        let fresh = ask(&open().await, show(&[small, large]), 3).await;
        let session = open().await;
        for alone in [small, large] {
            ask(&session, show(&[alone]), 1).await;
        }
        assert_eq!(ask(&session, show(&[small, large]), 3).await.log_probs(), fresh.log_probs());
    });
}

#[test]
fn prompts_that_share_a_prefix_answer_as_alone() {
    runtime().block_on(async {
        let off = format!("enabled = false\n{SUBSTITUTE}");
        let prompts = || {
            let text = |text: &str| prompt("qwen3_vl", &[], text);
            let image = |text: &str| prompt("qwen3_vl", &["image.png"], text);
            [
                text("Name three colours."),
                text("Name three birds."),
                image("Name three birds."),
                image("Name three colours."),
            ]
        };
        let together = session("qwen3_vl", &off).await;
        for (index, prompt) in prompts().into_iter().enumerate() {
            let alone = ask(&session("qwen3_vl", &off).await, prompt.clone(), 8).await;
            let after = ask(&together, prompt, 8).await;
            let off = distance(&alone.log_probs(), &after.log_probs());
            assert!(off < 1e-5, "prompt {index}: {off:e}");
        }
    });
}

/// The likeliest letters after a text, and the logarithms of their probabilities among letters.
async fn letters(session: &MistralrsSession, text: &str) -> (String, Vec<f32>) {
    // The descriptions' tokenizer numbers printable characters from 0, the space.
    let only = |logits: &Tensor, _: &[u32]| {
        let (first, letters) = (usize::from(b'a' - b' '), 26);
        let barred = |count: usize| Tensor::full(-1e9f32, count, logits.device())?.to_dtype(logits.dtype());
        let rest = logits.dim(0)? - first - letters;
        Tensor::cat(&[&barred(first)?, &logits.narrow(0, first, letters)?, &barred(rest)?], 0)
    };
    let (request, mut answers) = raw(session, text, true, Arc::new(only));
    let Request::Normal(mut request) = request else { unreachable!() };
    request.return_logprobs = true;
    send(session, Request::Normal(request)).await;
    let Some(Response::Done(mut done)) = answers.recv().await else { panic!("an answer") };
    let choice = done.choices.remove(0);
    let tokens = choice.logprobs.and_then(|l| l.content).expect("log-probabilities");
    (choice.message.content.expect("letters"), tokens.iter().map(|token| token.logprob).collect())
}

#[test]
fn a_sliding_window_is_as_wide_in_a_prompt_as_in_decoding() {
    runtime().block_on(async {
        // With pages a window is rounded up to a whole one in decoding: Gemma 3n has none.
        let families: &[&str] =
            if crate::common::all_paged() { &["gemma3n"] } else { &["gemma3", "gemma3n", "gemma4"] };
        for family in families {
            let mut spec = Spec::read(family);
            spec.config["text_config"]["sliding_window"] = 32.into();
            let folder = tempfile::tempdir().expect("a scratch folder");
            let (_, model) = spec.write_pair(folder.path());
            let off = format!("enabled = false\n{SUBSTITUTE}");
            let session = MistralrsSession::open(&config(&model, &model, &off)).await.expect("a session");
            let text = "The quick brown fox jumps over the lazy dog, and the dog looks on. ".repeat(2);
            let (said, decoded) = letters(&session, &text).await;
            let (again, prefilled) = letters(&session, &format!("{text}{}", &said[..2])).await;
            assert_eq!(said[2..3], again[..1], "{family}");
            let off = (decoded[2] - prefilled[0]).abs();
            assert!(off < 1e-4, "{family}: {off:e}");
        }
    });
}
