//! Keys and values that earlier prompts have left: what begins after them answers as what runs whole, and nothing is taken from a prompt
//! that was replayed otherwise.
use std::sync::Arc;

use replay_core::session::{Answer, Directive, Mode, Picture, Prompt, Sampling, Session as _, Turn};
use replay_mistralrs::MistralrsSession;
use replay_mistralrs::families::Family;

use crate::common::{config, distance, fixture, image, runtime, session};
use crate::families::{Spec, names, picture, video};

const TOLERANCE: f32 = 2e-5;
const KEPT: &str = "cache.prefix_bytes = \"64MiB\"\n";

async fn ask(session: &MistralrsSession, prompt: &Prompt, mode: Mode) -> Answer {
    let sampling = Sampling { max_tokens: Some(6), ..Sampling::default() };
    let directive = Directive { mode, ..Directive::default() };
    session.answer(prompt.clone(), sampling, directive).await.expect("an answer")
}

/// Rows that did not run while this was asked.
async fn known(session: &MistralrsSession, prompt: &Prompt, mode: Mode) -> (Answer, usize) {
    let before = session.replay().expect("on").prefix_cache_rows();
    let answer = ask(session, prompt, mode).await;
    (answer, session.replay().expect("on").prefix_cache_rows() - before)
}

/// How far one answer's log-probabilities are from the other's.
pub(crate) fn off(kept: &Answer, whole: &Answer) -> f32 {
    if kept.texts() == whole.texts() { distance(&kept.log_probs(), &whole.log_probs()) } else { f32::INFINITY }
}

fn same(name: &str, kept: &Answer, whole: &Answer) {
    let off = off(kept, whole);
    assert!(off <= TOLERANCE, "{name}: {off:e}, {:?} and {:?}", kept.texts(), whole.texts());
}

/// The prompts of a conversation, in which a second image is shown later on if there may be several.
pub(crate) fn talk(images: Vec<Picture>) -> Vec<Prompt> {
    let mut images = images.into_iter();
    let mut prompt = Prompt {
        system: Some("Look well before you say what it is.".into()),
        images: images.next().into_iter().collect(),
        text: "What is in the picture?".into(),
        ..Prompt::default()
    };
    let mut talk = Vec::new();
    for turn in 0..4 {
        talk.push(prompt.clone());
        let images_now = std::mem::take(&mut prompt.images);
        let text = std::mem::replace(&mut prompt.text, format!("And what about part {turn} of it?"));
        prompt.earlier.push(Turn { images: images_now, text, answer: "A field with a path.".into() });
        if turn == 1 {
            prompt.images = images.next().into_iter().collect();
        }
    }
    talk
}

#[test]
fn a_prompt_that_begins_after_a_prefix_answers_as_one_that_runs_whole_in_every_family_that_can() {
    runtime().block_on(async {
        for name in names() {
            let spec = Spec::read(&name).with_wide_windows();
            let family = Family::of(&spec.config).expect("a family with a profile");
            let positions = if family.has_visual_rows { "visual" } else { "all" };
            let replay = |kept: &str| {
                format!("strategy = \"substitute\"\nlayers = 3\npositions = \"{positions}\"\ncache.max_bytes = 0\n{kept}[replay.rank]\nquantile = 0.6")
            };
            let folder = tempfile::tempdir().expect("a scratch folder");
            let (base, rlvr) = spec.write_pair(folder.path());
            let open = async |replay: &str| {
                MistralrsSession::open(&config(&base, &rlvr, replay)).await.unwrap_or_else(|e| panic!("{name}: {e:#}"))
            };
            let kept = open(&replay(KEPT)).await;
            let can = kept.replay().expect("on").prefix_cache_fault();
            if let Some(why) = can {
                println!("{name}: {why}");
                continue;
            }
            let whole = open(&replay("")).await;
            let images = if family.one_image { vec![picture(60, 50)] } else { vec![picture(60, 50), picture(112, 60)] };
            // A change in the last bits may send a row to another expert.
            let experts = spec.config.to_string().contains("_experts\":");
            let (mut rows, mut sent_elsewhere) = (0, 0);
            let mut prompts = talk(images);
            if spec.video_tag.is_some() {
                let about = |text: &str| Prompt { videos: vec![video(3, 112, 60)], text: text.into(), ..Prompt::default() };
                prompts.extend([about("What happens in the video?"), about("What happens then?")]);
            }
            for (turn, prompt) in prompts.iter().enumerate() {
                for mode in [Mode::On, Mode::Off] {
                    let (answer, left_out) = known(&kept, prompt, mode).await;
                    rows += left_out;
                    let off = off(&answer, &ask(&whole, prompt, mode).await);
                    if off > spec.batch_tolerance {
                        sent_elsewhere += 1;
                        assert!(experts && sent_elsewhere <= 2, "{name}, turn {turn}, {mode:?}: {off:e}");
                    }
                }
            }
            println!("{name}: {rows} rows were known");
            assert!(rows > 200, "{name}: {rows}");
            assert_eq!(whole.replay().expect("on").prefix_cache_rows(), 0, "{name}");
        }
    });
}

fn fixture_talk() -> Vec<Prompt> {
    talk(["image.png", "image_small.png"].map(|name| image(&fixture("qwen2_5_vl").join(name))).to_vec())
}

const FIXED: &str = "strategy = \"substitute\"\nlayers = 4\nBYTES[replay.rank]\nbelow = 4.0\n\
    [profiles.other]\nrank.quantile = 0.5\n[profiles.same]\nlayers = [0, 1, 2, 3]";

fn settings(replay: &str, kept: &str) -> String {
    replay.replace("BYTES", kept)
}

/// What a prompt with and without replay, by other settings, and by the same under another name take of each other.
#[test]
fn replayed_keys_and_values_reach_no_request_without_replay_and_the_other_way_round() {
    runtime().block_on(async {
        let kept = session("qwen2_5_vl", &settings(FIXED, KEPT)).await;
        let whole = session("qwen2_5_vl", &settings(FIXED, "cache.max_bytes = 0\n")).await;
        let prompt = &fixture_talk()[0];
        let by = async |session: &MistralrsSession, mode, profile: Option<&str>| {
            let bound = session.replay().expect("on").settings();
            let profile = profile.map(|name| bound.profile(name).expect("a profile"));
            let before = session.replay().expect("on").prefix_cache_rows();
            let directive = Directive { mode, profile, ..Directive::default() };
            let sampling = Sampling { max_tokens: Some(6), ..Sampling::default() };
            let answer = session.answer(prompt.clone(), sampling, directive).await.expect("an answer");
            (answer, session.replay().expect("on").prefix_cache_rows() - before)
        };
        let ways = [
            ("on", Mode::On, None),
            ("off", Mode::Off, None),
            ("on again", Mode::On, None),
            ("off again", Mode::Off, None),
            ("by a profile", Mode::On, Some("other")),
            ("by the same settings under another name", Mode::On, Some("same")),
        ];
        let mut rows = Vec::new();
        let mut answers = Vec::new();
        for (name, mode, profile) in ways {
            let (answer, left_out) = by(&kept, mode, profile).await;
            same(name, &answer, &by(&whole, mode, profile).await.0);
            rows.push(left_out);
            answers.push(answer);
        }
        // Up to the image, which is the first that is replayed; all but two rows of an equal prompt.
        let prompt_rows = answers[0].usage.prompt_tokens;
        assert!(rows[0] == 0 && rows[1] > 16 && rows[4] == rows[1], "{rows:?}");
        assert!(
            rows[1] < prompt_rows - 2 && rows[2..4] == [prompt_rows - 2; 2] && rows[5] == prompt_rows - 2,
            "{rows:?} of {prompt_rows}"
        );
        assert!(
            distance(&answers[0].log_probs()[..1], &answers[1].log_probs()[..1]) > 10.0 * TOLERANCE,
            "replay does nothing here"
        );
    });
}

/// A conversation takes what its earlier turns have left, also where the first turn's rows are replayed, and a new image is ranked with
/// all that came before it.
#[test]
fn a_conversation_pays_for_its_own_rows() {
    let rules = [
        ("substitute, by absolute thresholds", settings(FIXED, KEPT), settings(FIXED, "")),
        ("learned", LEARN.replace("BYTES", KEPT), LEARN.replace("BYTES", "")),
    ];
    const LEARN: &str =
        "strategy = \"learned\"\nlayers = 4\nBYTES[replay.rank]\nquantile = 0.5\n[replay.learned]\niterations = 4";
    runtime().block_on(async {
        for (name, with, without) in rules {
            let kept = session("qwen2_5_vl", &with).await;
            let whole = session("qwen2_5_vl", &without).await;
            let mut left = Vec::new();
            for (turn, prompt) in fixture_talk().iter().enumerate() {
                let (answer, left_out) = known(&kept, prompt, Mode::On).await;
                same(&format!("{name}, turn {turn}"), &answer, &ask(&whole, prompt, Mode::On).await);
                left.push(answer.usage.prompt_tokens - left_out);
            }
            println!("{name}: {left:?} rows ran");
            // The third turn brings an image, with which a delta is learned anew for both.
            assert!(left[1] <= 70 && left[3] <= 70, "{name}: {left:?}");
            assert!(name == "learned" || left[2] < 100, "{name}: {left:?}");
        }
    });
}

#[test]
fn requests_that_begin_after_prefixes_together_answer_as_alone() {
    runtime().block_on(async {
        let kept = Arc::new(session("qwen2_5_vl", &settings(FIXED, KEPT)).await);
        let whole = session("qwen2_5_vl", &settings(FIXED, "")).await;
        let first = fixture_talk().remove(0);
        let prompts: Vec<Prompt> = (0..12)
            .map(|i| Prompt { text: format!("{} number {i:02}?", ["What", "Which"][i % 2]), ..first.clone() })
            .collect();
        for mode in [Mode::On, Mode::Off] {
            ask(&kept, &first, mode).await;
            let before = kept.replay().expect("on").prefix_cache_rows();
            let together: Vec<_> = prompts
                .iter()
                .map(|prompt| {
                    let (kept, prompt) = (kept.clone(), prompt.clone());
                    tokio::spawn(async move { ask(&kept, &prompt, mode).await })
                })
                .collect();
            for (index, (prompt, task)) in prompts.iter().zip(together).enumerate() {
                let answer = task.await.expect("no panic");
                same(&format!("{mode:?} {index}"), &answer, &ask(&whole, prompt, mode).await);
            }
            assert!(kept.replay().expect("on").prefix_cache_rows() > before + 12 * 16, "{mode:?}");
        }
        assert!(kept.replay().expect("on").largest_batch() >= 2, "nothing ran together");
    });
}

#[test]
fn what_is_kept_never_exceeds_its_bytes() {
    runtime().block_on(async {
        // Each answer leaves 5 layers of keys and values of some 100 rows.
        let kept = session("qwen2_5_vl", &settings(FIXED, "cache.prefix_bytes = \"256KiB\"\n")).await;
        let mut most = 0;
        for i in 0..12 {
            let prompt = Prompt { text: format!("{i} is another question"), ..Prompt::default() };
            ask(&kept, &prompt, Mode::On).await;
            ask(&kept, &fixture_talk()[i % 4], Mode::On).await;
            let bytes = kept.replay().expect("on").prefix_bytes();
            assert!(bytes <= 256 << 10, "{bytes}");
            most = most.max(bytes);
        }
        assert!(most > 128 << 10, "{most}");
    });
}

#[test]
fn nothing_is_kept_unless_it_is_asked_for() {
    runtime().block_on(async {
        let pair = fixture("qwen2_5_vl").join("pair");
        let session = MistralrsSession::open(&config(&pair.join("base"), &pair.join("rlvr"), &settings(FIXED, "")))
            .await
            .expect("a session");
        for prompt in &fixture_talk()[..2] {
            ask(&session, prompt, Mode::On).await;
        }
        let replay = session.replay().expect("on");
        assert_eq!((replay.prefix_cache_rows(), replay.prefix_bytes()), (0, 0));
    });
}
