//! PagedAttention: the same answers as with a cache for each sequence, under load too, and within a cache that is too small for all. On a
//! CPU, with the engine's feature that brings its kernels in plain tensors.
use std::path::Path;
use std::sync::Arc;

use replay_core::Config;
use replay_core::session::{Answer, Directive, Mode, Picture, Prompt, Sampling, Session as _, SessionError, Turn};
use replay_mistralrs::MistralrsSession;
use replay_mistralrs::families::Family;

use crate::common::{UNPAGED, distance, runtime, toml_with};
use crate::families::{Spec, names, picture};
use crate::prefixes::{off, talk};

/// Blocks of eight tokens.
fn table(memory: &str) -> String {
    format!("paged_attention = {{ {memory}, block_size = 8 }}\n")
}

const ROOMY: &str = "memory = \"64MiB\"";

async fn open(base: &Path, rlvr: &Path, table: &str, replay: &str) -> MistralrsSession {
    let config = Config::from_str(&toml_with(base, rlvr, table, replay), "test.toml").expect("a valid configuration");
    MistralrsSession::open(&config).await.unwrap_or_else(|e| panic!("{}: {e:#}", rlvr.display()))
}

fn paged_families() -> impl Iterator<Item = (String, Spec, &'static Family)> {
    names().into_iter().filter_map(|name| {
        let spec = Spec::read(&name);
        let family = Family::of(&spec.config).expect("a family with a profile");
        (!UNPAGED.contains(&family.architecture)).then_some((name, spec, family))
    })
}

const LEARNED: &str =
    "strategy = \"learned\"\nlayers = 3\ncache.max_bytes = 0\nrank.quantile = 0.6\nlearned.iterations = 4";

fn substitute(family: &Family) -> String {
    let positions = if family.has_visual_rows { "visual" } else { "all" };
    format!(
        "strategy = \"substitute\"\nlayers = 3\npositions = \"{positions}\"\ncache.max_bytes = 0\n[replay.rank]\nquantile = 0.6"
    )
}

/// The images of a conversation.
fn shown(family: &Family) -> Vec<Picture> {
    let images = vec![picture(60, 50), picture(50, 100)];
    images.into_iter().take(if family.one_image { 1 } else { 2 }).collect()
}

/// Without an image, with one, two adjacent ones, and one of an earlier turn.
fn prompts(family: &Family) -> Vec<Prompt> {
    let text = |text: &str| Prompt { text: text.into(), ..Prompt::default() };
    let mut prompts = vec![
        text("What is in the picture that I do not show?"),
        Prompt { images: vec![picture(60, 50)], ..text("What is this?") },
        Prompt {
            earlier: vec![Turn { images: vec![picture(90, 60)], text: "And this?".into(), answer: "A field.".into() }],
            ..text("What was it?")
        },
    ];
    if !family.one_image {
        prompts.push(Prompt { images: vec![picture(60, 50), picture(50, 100)], ..text("And these?") });
    }
    prompts.extend(talk(shown(family)));
    prompts
}

async fn ask(
    session: &MistralrsSession,
    max_tokens: usize,
    prompt: &Prompt,
    mode: Mode,
) -> Result<Answer, SessionError> {
    let sampling = Sampling { max_tokens: Some(max_tokens), ..Sampling::default() };
    session.answer(prompt.clone(), sampling, Directive { mode, ..Directive::default() }).await
}

/// Those that are answered, replayed or not: the engine fails a random model that writes the beginning of an image.
async fn answered(session: &MistralrsSession, most: usize, prompts: Vec<Prompt>) -> Vec<Prompt> {
    let mut kept = Vec::new();
    for prompt in prompts {
        if ask(session, most, &prompt, Mode::Off).await.is_ok() && ask(session, most, &prompt, Mode::On).await.is_ok() {
            kept.push(prompt);
        }
    }
    kept
}

/// A random model writes placeholders too, which are taken for some of the prompt's when they are prefilled with it.
fn may_hold_placeholders(answer: &Answer) -> bool {
    answer.text().chars().count() < answer.log_probs().len()
}

/// Nats that the two caches may be apart: they sum in another order, of which a mixture of experts can make more.
const APART: f32 = 3e-4;

/// Where the answers of two sessions differ, and by how much at most where they do not.
async fn compare(paged: &MistralrsSession, each: &MistralrsSession, prompts: &[Prompt]) -> (Vec<String>, f32) {
    let (mut wrong, mut worst, mut answered) = (Vec::new(), 0f32, 0);
    for (index, prompt) in prompts.iter().enumerate() {
        for mode in [Mode::Off, Mode::On] {
            match (ask(paged, 9 + index, prompt, mode).await, ask(each, 9 + index, prompt, mode).await) {
                (Ok(paged), Ok(each)) => {
                    let off = off(&paged, &each);
                    let rows = |answer: &Answer| answer.replay.as_ref().map(|report| format!("{:?}", report.layers));
                    if off > APART || off.is_nan() || rows(&paged) != rows(&each) {
                        wrong.push(format!("{mode:?} {index}: {off:e}, {:?} and {:?}", paged.texts(), each.texts()));
                    }
                    worst = worst.max(off);
                    answered += 1;
                }
                // A random model that writes the beginning of an image.
                (Err(_), Err(_)) => {}
                (paged, each) => wrong.push(format!("{mode:?} {index}: {paged:?} and {each:?}")),
            }
        }
    }
    if answered < prompts.len() {
        wrong.push(format!("{answered} answers to {} prompts, asked twice", prompts.len()));
    }
    (wrong, worst)
}

#[test]
#[ignore = "minutes; .ci/run asks for these by name"]
fn every_paged_family_answers_as_with_a_cache_for_each_sequence() {
    let (mut wrong, mut worst) = (Vec::new(), 0f32);
    for (name, spec, family) in paged_families() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let (base, rlvr) = spec.with_wide_windows().write_pair(folder.path());
        for replay in [Some(substitute(family)), family.decoder.map(|_| LEARNED.into())].into_iter().flatten() {
            let (differ, off) = runtime().block_on(async {
                let paged = open(&base, &rlvr, &table(ROOMY), &replay).await;
                compare(&paged, &open(&base, &rlvr, "", &replay).await, &prompts(family)).await
            });
            wrong.extend(differ.into_iter().map(|differs| format!("{name}, {}: {differs}", &replay[..23])));
            worst = worst.max(off);
        }
    }
    println!("log-probabilities within {worst:e}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Gemma 4's last layers have no keys and values of their own. A pass of replay's, which has no pages, gives them those of its own earlier
/// layers: what it sees of the RLVR model decides here which rows are selected.
#[test]
#[ignore = "minutes; .ci/run asks for these by name"]
fn passes_of_replay_share_keys_as_the_model_does() {
    let spec = Spec::read("gemma4").with_wide_windows();
    let folder = tempfile::tempdir().expect("a scratch folder");
    let (base, rlvr) = spec.write_pair(folder.path());
    let layers = spec.config["text_config"]["num_hidden_layers"].as_u64().expect("layers");
    let replay = format!(
        "strategy = \"substitute\"\nlayers = {layers}\ncache.max_bytes = 0\n[replay.rank]\nquantile = 0.6\nbase_below_rlvr = true"
    );
    runtime().block_on(async {
        let paged = open(&base, &rlvr, &table(ROOMY), &replay).await;
        let each = open(&base, &rlvr, "", &replay).await;
        let prompts: Vec<Prompt> = (0..4)
            .map(|n| Prompt {
                images: vec![picture(60 + 8 * n, 50)],
                text: "What is this?".into(),
                ..Prompt::default()
            })
            .collect();
        let (wrong, _) = compare(&paged, &each, &prompts).await;
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

#[test]
#[ignore = "minutes; .ci/run asks for these by name"]
fn families_that_the_engine_does_not_page_are_refused() {
    let unpaged = names().into_iter().map(|name| (Spec::read(&name), name));
    for (spec, name) in
        unpaged.filter(|(spec, _)| UNPAGED.iter().any(|family| spec.config["architectures"][0] == *family))
    {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let (base, rlvr) = spec.write_pair(folder.path());
        let text = toml_with(
            &base,
            &rlvr,
            &table(ROOMY),
            "strategy = \"substitute\"\nlayers = 1\npositions = \"all\"\nrank.top = 1",
        );
        let config = Config::from_str(&text, "test.toml").expect("a valid configuration");
        let why = runtime().block_on(MistralrsSession::open(&config)).expect_err(&name).to_string();
        assert!(why.contains("[mistralrs.paged_attention]"), "{name}: {why}");
    }
}

/// All prompts at once, at least twelve times, for up to so many tokens; each answer as alone.
async fn together(name: &str, session: &Arc<MistralrsSession>, prompts: &[Prompt], most: usize, spec: &Spec) {
    let tokens = move |index: usize| most - index * 3 % 8;
    // A change in the last bits may send a row to another expert.
    let experts = spec.config.to_string().contains("_experts\":");
    let mut sent_elsewhere = 0;
    for mode in [Mode::Off, Mode::On] {
        let mut alone = Vec::new();
        for (index, prompt) in prompts.iter().enumerate() {
            alone.push(
                ask(session, tokens(index), prompt, mode).await.unwrap_or_else(|e| panic!("{name} {index}: {e}")),
            );
        }
        let tasks: Vec<_> = (0..(2 * prompts.len()).max(12))
            .map(|task| {
                let index = task % prompts.len();
                let (session, prompt) = (session.clone(), prompts[index].clone());
                (index, tokio::spawn(async move { ask(&session, tokens(index), &prompt, mode).await }))
            })
            .collect();
        for (index, task) in tasks {
            let limit = std::time::Duration::from_secs(120);
            let answer = tokio::time::timeout(limit, task)
                .await
                .unwrap_or_else(|_| panic!("{name} {mode:?} {index}: no answer"));
            let answer = match answer.expect("no panic") {
                Err(SessionError::Engine(_)) if may_hold_placeholders(&alone[index]) => continue,
                answer => answer.unwrap_or_else(|e| panic!("{name} {mode:?} {index}: {e}")),
            };
            let off = off(&alone[index], &answer);
            if off > spec.batch_tolerance || off.is_nan() {
                sent_elsewhere += 1;
                let texts = (&alone[index].texts(), &answer.texts());
                assert!(experts && sent_elsewhere <= prompts.len(), "{name} {mode:?} {index}: {off:e} {texts:?}");
            }
        }
    }
}

fn mixed() -> Vec<Prompt> {
    (0..16)
        .map(|index| {
            let images = match index % 4 {
                3 => vec![],
                2 => vec![picture(60, 50), picture(50, 100)],
                _ => vec![picture(60 + 8 * index, 50)],
            };
            Prompt { images, text: format!("Question {}{index}?", "x".repeat(index as usize % 5)), ..Prompt::default() }
        })
        .collect()
}

#[test]
#[ignore = "minutes; .ci/run asks for these by name"]
fn texts_and_images_together_answer_as_alone_and_are_prefilled_once() {
    let spec = Spec::read("qwen3_vl");
    let family = Family::of(&spec.config).expect("a profile");
    let folder = tempfile::tempdir().expect("a scratch folder");
    let (base, rlvr) = spec.write_pair(folder.path());
    runtime().block_on(async {
        let session = Arc::new(open(&base, &rlvr, &table(ROOMY), &substitute(family)).await);
        const MOST: usize = 12;
        let prompts = answered(&session, MOST, mixed()).await;
        assert!(prompts.len() >= 6, "{} prompts are answered", prompts.len());
        let before = session.replay().expect("on").prefills();
        together("roomy", &session, &prompts, MOST, &spec).await;
        let replay = session.replay().expect("on");
        assert_eq!(replay.prefills() - before, 2 * 3 * prompts.len(), "a sequence was prefilled again");
        assert!(replay.held_decisions() <= 17, "edits are dropped when their requests end");
    });
}

/// Prompts of about so many tokens.
fn long(count: usize, characters: usize, family: &Family) -> Vec<Prompt> {
    (0..count)
        .map(|index| {
            let images = if index % 2 == 0 && family.has_visual_rows {
                vec![picture(60 + 8 * index as u32, 50)]
            } else {
                vec![]
            };
            Prompt {
                images,
                text: format!("{}{index}?", "a long story ".repeat(characters / 13 + index)),
                ..Prompt::default()
            }
        })
        .collect()
}

/// Sequences give up their blocks to others while they decode, and are prefilled again with what they have said: replayed as before, and
/// with their images.
#[test]
#[ignore = "minutes; .ci/run asks for these by name"]
fn sequences_that_made_room_for_others_answer_as_alone() {
    let mut again = Vec::new();
    for (name, spec, family) in paged_families() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let spec = spec.with_wide_windows();
        let (base, rlvr) = spec.write_pair(folder.path());
        runtime().block_on(async {
            let table = table("memory = \"1MiB\"");
            let session = Arc::new(open(&base, &rlvr, &table, &substitute(family)).await);
            const MOST: usize = 32;
            let cache = session.replay().expect("on").kv_cache().to_string();
            let blocks: usize = cache.split_whitespace().find_map(|word| word.parse().ok()).expect("a number");
            // Eight, which is as many as run together, nearly fill it, and what they say does not fit.
            let prompts = answered(&session, MOST, long(6, blocks * 9 / 10, family)).await;
            println!("{name}: {cache}, {} prompts", prompts.len());
            assert!(prompts.len() >= 2, "{name}: {} prompts are answered", prompts.len());
            let before = session.replay().expect("on").prefills();
            together(&name, &session, &prompts, MOST, &spec).await;
            let once = 2 * (prompts.len() + (2 * prompts.len()).max(12));
            again.push((name.clone(), session.replay().expect("on").prefills() - before - once));
        });
    }
    println!("prefilled again: {again:?}");
    let made_room = again.iter().filter(|(_, again)| *again > 0).count();
    assert!(made_room > again.len() / 2, "few were prefilled again: {again:?}");
}

#[test]
#[ignore = "minutes; .ci/run asks for these by name"]
fn a_prompt_that_the_cache_has_no_room_for_is_refused_and_harms_nobody() {
    let spec = Spec::read("qwen3_vl");
    let family = Family::of(&spec.config).expect("a profile");
    let folder = tempfile::tempdir().expect("a scratch folder");
    let (base, rlvr) = spec.write_pair(folder.path());
    runtime().block_on(async {
        let session = Arc::new(open(&base, &rlvr, &table("memory = \"1MiB\""), &substitute(family)).await);
        let small = Prompt { text: "What is there?".into(), ..Prompt::default() };
        let alone = ask(&session, 3, &small, Mode::On).await.expect("an answer");
        let large = Prompt { text: "much ".repeat(400), ..Prompt::default() };
        let tasks = [large.clone(), small.clone(), large, small].map(|prompt| {
            let session = session.clone();
            tokio::spawn(async move {
                tokio::time::timeout(std::time::Duration::from_secs(60), ask(&session, 3, &prompt, Mode::On)).await
            })
        });
        for (index, task) in tasks.into_iter().enumerate() {
            let answer = task.await.expect("no panic").unwrap_or_else(|_| panic!("{index}: no answer"));
            match (index % 2, answer) {
                (0, Err(SessionError::Input { message: why, .. })) => {
                    assert!(why.contains("no room for a prompt of"), "{why}")
                }
                (1, Ok(answer)) => assert!(off(&alone, &answer) < 1e-4),
                (_, answer) => panic!("{index}: {:?}", answer.map(|answer| answer.choices)),
            }
        }
    });
}

/// The same text, and the same image, with another question: the engine's cache of blocks, which is on where replay is not.
#[test]
#[ignore = "minutes; .ci/run asks for these by name"]
fn what_earlier_prompts_have_left_in_blocks_changes_no_answer_without_replay() {
    let mut wrong = Vec::new();
    for (name, spec, family) in paged_families() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let (base, rlvr) = spec.clone().with_wide_windows().write_pair(folder.path());
        let off_everywhere = format!("enabled = false\n{}", substitute(family));
        let mut all = talk(shown(family));
        for pad in 0..4 {
            for text in ["What is it?", "Is it large?"] {
                let system = Some(format!("Look{}.", " well".repeat(pad)));
                let prompt = Prompt { system, text: text.into(), ..Prompt::default() };
                all.push(Prompt { images: vec![picture(60, 50)], ..prompt.clone() });
                all.push(prompt);
            }
        }
        runtime().block_on(async {
            let paged = open(&base, &rlvr, &table(ROOMY), &off_everywhere).await;
            let each = open(&base, &rlvr, "", &off_everywhere).await;
            for (index, prompt) in all.iter().enumerate() {
                match (ask(&paged, 4, prompt, Mode::Off).await, ask(&each, 4, prompt, Mode::Off).await) {
                    (Ok(paged), Ok(each)) if off(&paged, &each) <= spec.batch_tolerance => {}
                    (Ok(paged), Ok(each)) => wrong.push(format!("{name} {index}: {:e}", off(&paged, &each))),
                    // A random model that writes the beginning of an image.
                    (Err(_), Err(_)) => {}
                    (paged, each) => wrong.push(format!("{name} {index}: {paged:?} and {each:?}")),
                }
            }
        });
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Decoding is another matter: the engine's blocks begin where they begin, and a window within one is rounded down to it.
#[test]
#[ignore = "minutes; .ci/run asks for these by name"]
fn sliding_windows_hold_in_paged_prompts() {
    for (name, spec, family) in paged_families().filter(|(name, ..)| name.starts_with("gemma")) {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let (base, rlvr) = spec.write_pair(folder.path());
        runtime().block_on(async {
            let paged = open(&base, &rlvr, &table(ROOMY), &substitute(family)).await;
            let each = open(&base, &rlvr, "", &substitute(family)).await;
            for prompt in prompts(family) {
                for mode in [Mode::Off, Mode::On] {
                    let first = async |session| ask(session, 1, &prompt, mode).await.expect("an answer").first_token;
                    let off = distance(&first(&paged).await, &first(&each).await);
                    assert!(off < 1e-4, "{name} {mode:?}: {off:e}");
                }
            }
        });
    }
}
