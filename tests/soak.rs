//! Several families under load: prompts of every shape, replay on and off, some clients going away, some requests malformed. Every answer
//! that comes equals its solo run, and nothing is left behind.
use std::sync::Arc;
use std::time::Duration;

use replay_core::session::{Answer, Directive, Mode, Prompt, Sampling, Session as _, SessionError, Turn};
use replay_mistralrs::{Attached, MistralrsSession};
use tokio::sync::Semaphore;

use crate::common::{SUBSTITUTE, distance, runtime, session};
use crate::families::{Noise, Spec, open_spec, picture, video};

const CONCURRENT: usize = 16;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Waits,
    /// Its client goes away after so many milliseconds.
    Leaves(u64),
    Malformed,
}

struct Model {
    name: String,
    session: Arc<MistralrsSession>,
    prompts: Vec<Prompt>,
    tolerance: f32,
    /// Solo answers, replay on and off.
    alone: Vec<[Answer; 2]>,
    _folder: tempfile::TempDir,
}

fn sampling(index: usize) -> Sampling {
    Sampling { max_tokens: Some(4 + index * 7 % 13), ..Sampling::default() }
}

fn mode(on: bool) -> Directive {
    Directive { mode: if on { Mode::On } else { Mode::Off }, ..Directive::default() }
}

/// Texts of equal and unequal lengths; no image, one, two; a conversation; a video.
fn prompts(videos: bool) -> Vec<Prompt> {
    (0..12)
        .map(|index| {
            let images = match index % 4 {
                0 => vec![],
                1 | 2 => vec![picture(60 + 8 * index, 50)],
                _ => vec![picture(60, 50), picture(50, 100)],
            };
            let earlier = match index % 6 {
                5 => vec![Turn { images: vec![picture(90, 60)], text: "And this?".into(), answer: "A field.".into() }],
                _ => vec![],
            };
            let videos = if videos && index % 4 < 2 { vec![video(2, 60, 40 + index)] } else { vec![] };
            Prompt {
                images,
                videos,
                earlier,
                text: format!("Question {}{index}?", "x".repeat(index as usize % 5)),
                ..Prompt::default()
            }
        })
        .collect()
}

impl Model {
    async fn open(name: &str, replay: &str) -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let (session, tolerance) = match name {
            "qwen2_5_vl" => (session(name, replay).await, 1e-4),
            _ => (open_spec(name, folder.path(), replay).await, Spec::read(name).batch_tolerance),
        };
        let session = Arc::new(session);
        let (mut asked, mut alone) = (Vec::new(), Vec::new());
        for prompt in prompts(session.replay().is_some_and(Attached::sees_videos)) {
            let sampling = sampling(asked.len());
            let (on, off) = (
                session.answer(prompt.clone(), sampling, mode(true)).await,
                session.answer(prompt.clone(), sampling, mode(false)).await,
            );
            // The engine fails a random model that writes the beginning of an image.
            if let (Ok(on), Ok(off)) = (on, off) {
                alone.push([on, off]);
                asked.push(prompt);
            }
        }
        assert!(asked.len() >= 6, "{name}: {} prompts are answered", asked.len());
        Self { name: name.into(), session, prompts: asked, tolerance, alone, _folder: folder }
    }

    /// Sends one request and looks at what comes.
    async fn request(&self, index: usize, on: bool, fate: Fate) -> Fate {
        let mut prompt = self.prompts[index].clone();
        if fate == Fate::Malformed {
            prompt.images.push(picture(1, 400));
            prompt.text = "<|image_pad|><start_of_image><|patch|> what?".into();
        }
        let asked = self.session.answer(prompt, sampling(index), mode(on));
        let name = format!("{} {index}, replay {on}", self.name);
        match fate {
            Fate::Leaves(after) => {
                let _ = tokio::time::timeout(Duration::from_millis(after), asked).await;
            }
            // Whatever it is answered, it is answered.
            Fate::Malformed => {
                if let Err(SessionError::Stopped) = within(&name, asked).await {
                    panic!("{name}: the engine is gone");
                }
            }
            Fate::Waits => {
                let answer = within(&name, asked).await.unwrap_or_else(|e| panic!("{name}: {e}"));
                let alone = &self.alone[index][usize::from(!on)];
                let off = distance(&alone.log_probs(), &answer.log_probs());
                assert_eq!(alone.texts(), answer.texts(), "{name}: {off:e}");
                assert!(off <= self.tolerance, "{name}: {off:e}");
            }
        }
        fate
    }
}

async fn within<T>(name: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(120), future)
        .await
        .unwrap_or_else(|_| panic!("{name}: no answer in two minutes"))
}

async fn round(models: &Arc<Vec<Model>>, requests: usize, seed: u64) -> [usize; 3] {
    let mut noise = Noise::new("soak", seed);
    let mut below = move |n: usize| ((noise.draw() + 3f32.sqrt()) / (2.0 * 3f32.sqrt()) * n as f32) as usize % n;
    let places = Arc::new(Semaphore::new(CONCURRENT));
    let mut tasks = Vec::new();
    for _ in 0..requests {
        let model = below(models.len());
        let (index, on) = (below(models[model].prompts.len()), below(3) > 0);
        let fate = match below(10) {
            0 | 1 => Fate::Leaves(below(40) as u64),
            2 => Fate::Malformed,
            _ => Fate::Waits,
        };
        let place = places.clone().acquire_owned().await.expect("open");
        let models = models.clone();
        tasks.push(tokio::spawn(async move {
            let fate = models[model].request(index, on, fate).await;
            drop(place);
            fate
        }));
    }
    let mut fates = [0; 3];
    for task in tasks {
        let fate = task.await.expect("no panic");
        fates[match fate {
            Fate::Waits => 0,
            Fate::Leaves(_) => 1,
            Fate::Malformed => 2,
        }] += 1;
    }
    fates
}

fn soak(names: &[&str], replay: &str, requests: usize, rounds: u64) -> Vec<usize> {
    runtime().block_on(async {
        let mut models = Vec::new();
        for name in names {
            models.push(Model::open(name, replay).await);
        }
        let models = Arc::new(models);
        for seed in 0..rounds {
            let begun = std::time::Instant::now();
            let [answered, left, malformed] = round(&models, requests, seed).await;
            let resident = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
            let resident = resident.lines().find(|line| line.starts_with("VmRSS")).unwrap_or("").to_string();
            println!(
                "round {seed}: {answered} answered as alone, {left} left, {malformed} malformed, in {:.1} s; {resident}",
                begun.elapsed().as_secs_f64()
            );
        }
        for model in models.iter() {
            // One more request, since edits of a request that is over are dropped at the next.
            model.request(1, true, Fate::Waits).await;
            let replay = model.session.replay().expect("replay is on");
            assert!(replay.held_decisions() <= 2, "{}: {} requests are over and held", model.name, replay.held_decisions());
        }
        models.iter().filter_map(|model| model.session.replay()).map(Attached::prefix_cache_rows).collect()
    })
}

#[test]
fn answers_under_load_are_those_of_solo_runs_in_several_families() {
    soak(&["qwen2_5_vl", "gemma3", "qwen3_5", "idefics3"], SUBSTITUTE, 60, 1);
}

/// Its prompts need unequal room for keys and values, also where they are equally long.
#[test]
fn prompts_of_unequal_room_under_load_are_answered_as_alone() {
    soak(&["phi3_v"], SUBSTITUTE, 120, 1);
}

/// So much that what is kept is dropped and kept again.
fn kept() -> String {
    SUBSTITUTE.replace("cache.max_bytes = 0", "cache.max_bytes = 0\ncache.prefix_bytes = \"1MiB\"")
}

#[test]
fn answers_that_begin_after_prefixes_under_load_are_those_of_solo_runs() {
    let known = soak(&["qwen2_5_vl", "mistral3", "idefics2"], &kept(), 60, 1);
    assert!(known.iter().all(|rows| *rows > 100), "{known:?} rows were known");
}

/// `SOAK=gemma3,qwen3_5 cargo test --test suite soak_of_200 -- --ignored --nocapture`; without `SOAK`, all families but Mllama;
/// with `SOAK_PREFIXES`, a prefix cache.
#[test]
#[ignore = "minutes"]
fn soak_of_200_requests_five_times() {
    const ALL: &str = "qwen2_vl,qwen2_5_vl,qwen3_vl,qwen3_vl_moe,qwen3_5,qwen3_5_moe,gemma3,gemma3n,gemma4,gemma4_moe,mistral3,llama4,\
                       idefics2,idefics3,phi3_v,phi4_mm,minicpm_o,llava,llava_next";
    let names: String = std::env::var("SOAK").unwrap_or_else(|_| ALL.into());
    let replay = if std::env::var_os("SOAK_PREFIXES").is_some() { kept() } else { SUBSTITUTE.into() };
    let known = soak(&names.split(',').collect::<Vec<_>>(), &replay, 200, 5);
    println!("{known:?} rows were known");
}
