//! Measurements, not tests: `BENCH_PAIR=FOLDER cargo test --test suite costs -- --ignored --nocapture` on a pair `FOLDER/base`,
//! `FOLDER/rlvr`. What a conversation costs, and what its turns take of earlier ones; what it saves that one vision tower is enough.
use std::path::PathBuf;

use replay_core::Config;
use replay_core::session::{Directive, Mode, Prompt, Sampling, Session as _, Turn};
use replay_mistralrs::MistralrsSession;

use crate::common::{config, runtime, toml};
use crate::families::picture;

const REPLAY: &str = "strategy = \"substitute\"\nlayers = 6\n[replay.rank]\nfraction_of_max = 0.4";

#[test]
#[ignore = "a measurement"]
fn ten_turns() {
    let pair = PathBuf::from(std::env::var("BENCH_PAIR").expect("BENCH_PAIR=FOLDER"));
    let replay = std::env::var("BENCH_REPLAY").unwrap_or_else(|_| REPLAY.into());
    runtime().block_on(async {
        let open = async |replay: &str| {
            MistralrsSession::open(&config(&pair.join("base"), &pair.join("rlvr"), replay)).await.expect("a session")
        };
        let session = open(&replay).await;
        // One for each way: the same prompt with replay on leaves what the one with replay off could take.
        let with = format!("cache.prefix_bytes = \"2GiB\"\n{replay}");
        let kept = [open(&with).await, open(&with).await];
        let first = Sampling { max_tokens: Some(1), ..Sampling::default() };
        let ask = async |session: &MistralrsSession, prompt: &Prompt, mode| {
            let directive = Directive { mode, ..Directive::default() };
            session.answer(prompt.clone(), first, directive).await.expect("an answer")
        };
        let mut talk =
            Prompt { images: vec![picture(448, 448)], text: "What is in the picture?".into(), ..Prompt::default() };
        let mut totals = [0.0; 4];
        for turn in 0..10 {
            let ways = [(&session, Mode::Off), (&kept[0], Mode::Off), (&session, Mode::On), (&kept[1], Mode::On)];
            let mut answers = Vec::new();
            for (session, mode) in ways {
                answers.push(ask(session, &talk, mode).await);
            }
            let off: Vec<f32> = [0, 2].map(|way| (answers[way].log_probs()[0] - answers[way + 1].log_probs()[0]).abs()).into();
            let times: Vec<f64> = answers.iter().map(|answer| answer.time_to_first_token_ms).collect();
            totals.iter_mut().zip(&times).for_each(|(total, time)| *total += time);
            println!(
                "turn {turn}: {} prompt tokens; off {:.0} ms, after its prefix {:.0} ms; on {:.0} ms, after its prefix {:.0} ms; \
                 log-probabilities differ by {:.1e} and {:.1e} of {:.2}; {} rows replayed, {} known",
                answers[0].usage.prompt_tokens, times[0], times[1], times[2], times[3], off[0], off[1], answers[0].log_probs()[0],
                answers[3].replay.as_ref().map_or(0, |report| report.selected()),
                kept[1].replay().expect("on").prefix_cache_rows()
            );
            let images = std::mem::take(&mut talk.images);
            let answer = "There is a field with a path across it, and something bright to the right of it.".repeat(2);
            talk.earlier.push(Turn { images, text: std::mem::take(&mut talk.text), answer });
            talk.text = format!("And what about part {turn} of it?");
            if turn == 4 {
                talk.images = vec![picture(336, 448)];
            }
        }
        println!(
            "ten turns: off {:.0} ms, after prefixes {:.0} ms ({:.3}); on {:.0} ms, after prefixes {:.0} ms ({:.3}); on over off {:.2}; \
             {:.0} MiB kept",
            totals[0],
            totals[1],
            totals[1] / totals[0],
            totals[2],
            totals[3],
            totals[3] / totals[2],
            totals[2] / totals[0],
            kept[1].replay().expect("on").prefix_bytes() as f64 / f64::from(1 << 20)
        );
    });
}

#[test]
#[ignore = "a measurement"]
fn one_vision_tower() {
    let pair = PathBuf::from(std::env::var("BENCH_PAIR").expect("BENCH_PAIR=FOLDER"));
    let text = toml(&pair.join("base"), &pair.join("rlvr"), &format!("{REPLAY}\n[replay.cache]\nmax_bytes = 0"));
    // Said otherwise, the same placement counts as another, and the tower as each model's own.
    let own = text.replace("[replay]\n", "base.dtype = \"f32\"\n[replay]\n");
    runtime().block_on(async {
        let mut sessions = Vec::new();
        for text in [&text, &own] {
            sessions.push(
                MistralrsSession::open(&Config::from_str(text, "bench.toml").expect("valid")).await.expect("a session"),
            );
        }
        assert_eq!(
            sessions.iter().map(|s| s.replay().expect("on").same_vision_tower()).collect::<Vec<_>>(),
            [true, false]
        );
        let mut times = [Vec::new(), Vec::new()];
        for round in 0..8 {
            // A picture that no cache has seen.
            let prompt = Prompt { images: vec![picture(440 + round, 448)], text: "What?".into(), ..Prompt::default() };
            for (session, times) in sessions.iter().zip(&mut times) {
                let first = Sampling { max_tokens: Some(1), ..Sampling::default() };
                let answer = session.answer(prompt.clone(), first, Directive::default()).await.expect("an answer");
                times.push(answer.time_to_first_token_ms);
            }
        }
        let mut ratios: Vec<f64> = times[0].iter().zip(&times[1]).skip(1).map(|(one, two)| one / two).collect();
        ratios.sort_by(f64::total_cmp);
        println!(
            "time to first token with one tower over two: {:.2} ({:.2} to {:.2})",
            ratios[3], ratios[0], ratios[6]
        );
    });
}
