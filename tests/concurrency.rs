//! Concurrent requests answer as alone, in the log-probability of every decoded token.

use std::sync::Arc;

use crate::common::{LEARNED, SUBSTITUTE, distance, prompt, runtime, session};
use replay_core::Status;
use replay_core::session::{Answer, Directive, Mode, Prompt, Sampling, Session as _};
use replay_mistralrs::MistralrsSession;

/// Matrix kernels sum a batch in another order than one row.
const TOLERANCE: f32 = 2e-5;
const ALL: [usize; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// Text only, one image, three images; different lengths, and equal ones that share a batch.
fn prompts(family: &str) -> Vec<Prompt> {
    let names: Vec<&str> = match family {
        "qwen2_5_vl" => vec!["image.png", "image_small.png", "image_wide.png", "image_tall.png"],
        _ => vec!["image.png", "image_tall.png", "image_wide.png", "image_small.png"],
    };
    (0..16)
        .map(|i| {
            let images: Vec<&str> = match i {
                _ if i % 4 == 3 => vec![],
                _ if i % 5 == 0 => names[..3].to_vec(),
                _ => vec![names[i % names.len()]],
            };
            let text = match i {
                // Text-only requests of equal length, and image requests of equal length and grid.
                7 | 11 | 15 => format!("Equal length {i:02}?"),
                1 | 9 | 13 => format!("Same grid {i:02}?"),
                _ => format!("Question {} about it?", "x".repeat(i / 2)),
            };
            prompt(family, &images, &text)
        })
        .collect()
}

fn sampling(index: usize) -> Sampling {
    Sampling { max_tokens: Some(6 + index % 5), ..Sampling::default() }
}

async fn all_at_once(session: &Arc<MistralrsSession>, prompts: &[Prompt], directive: Directive) -> Vec<Answer> {
    let ask = |(index, prompt): (usize, &Prompt)| {
        let (session, prompt) = (session.clone(), prompt.clone());
        tokio::spawn(async move { session.answer(prompt, sampling(index), directive).await })
    };
    let tasks: Vec<_> = prompts.iter().enumerate().map(ask).collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap().unwrap());
    }
    answers
}

fn equals_solo(family: &str, replay: &str, picked: &[usize], rounds: usize) {
    runtime().block_on(async {
        let session = Arc::new(session(family, replay).await);
        let all = prompts(family);
        let prompts: Vec<Prompt> = picked.iter().map(|&index| all[index].clone()).collect();
        for mode in [Mode::Off, Mode::On] {
            let directive = Directive { mode, ..Directive::default() };
            let mut alone = Vec::new();
            for (index, prompt) in prompts.iter().enumerate() {
                let answer = session.answer(prompt.clone(), sampling(index), directive).await.unwrap();
                let replayed = answer.replay.as_ref().unwrap().status == Status::Replayed;
                assert_eq!(replayed, mode == Mode::On && !prompt.images.is_empty(), "{family} {mode:?} {index}");
                alone.push(answer);
            }
            for round in 0..rounds {
                let together = all_at_once(&session, &prompts, directive).await;
                for (index, (alone, together)) in alone.iter().zip(&together).enumerate() {
                    let name = format!("{family} {mode:?} round {round} request {index}");
                    assert_eq!(alone.texts(), together.texts(), "{name}");
                    let off = distance(&alone.log_probs(), &together.log_probs());
                    assert!(off <= TOLERANCE, "{name}: {off:e}");
                }
            }
        }
        let replay = session.replay().unwrap();
        assert!(replay.largest_batch() >= 2, "nothing ran together");
        // Each request once, and the engine's own request at its start.
        assert_eq!(replay.prefills(), 2 * (rounds + 1) * prompts.len() + 1, "a sequence was prefilled again");
        assert!(replay.held_decisions() <= 17, "edits are dropped when their requests end");
    });
}

#[test]
fn sixteen_concurrent_requests_equal_their_solo_runs_qwen2_5_vl() {
    equals_solo("qwen2_5_vl", SUBSTITUTE, &ALL, 10);
}

#[test]
fn sixteen_concurrent_requests_equal_their_solo_runs_qwen2_vl() {
    equals_solo("qwen2_vl", SUBSTITUTE, &ALL, 10);
}

#[test]
fn sixteen_concurrent_requests_equal_their_solo_runs_qwen3_vl() {
    equals_solo("qwen3_vl", SUBSTITUTE, &ALL, 10);
}

#[test]
fn eight_concurrent_learned_requests_equal_their_solo_runs() {
    for family in ["qwen2_5_vl", "qwen2_vl", "qwen3_vl"] {
        // Those that share batches among them.
        equals_solo(family, LEARNED, &[0, 1, 2, 5, 7, 9, 11, 13], 3);
    }
}
