//! Strategy `learned` inside the engine: equal models, cache, cancellation, precision, solvers. (Parity: parity.rs. Load: concurrency.rs.)
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::common::{LEARNED, config, distance, fixture, prompt, runtime, session};
use replay_core::learned::Stop;
use replay_core::session::{Answer, Directive, Event, Mode, Picture, Prompt, Request, Sampling, Session as _};
use replay_core::{Report, Status};
use replay_mistralrs::MistralrsSession;
use tokio::sync::mpsc;

const FAMILY: &str = "qwen2_5_vl";
const QUESTION: &str = "What is in the picture?";
const SAMPLING: Sampling = Sampling::greedy(8);

async fn ask(session: &MistralrsSession, prompt: Prompt, mode: Mode) -> Answer {
    session.answer(prompt, SAMPLING, Directive { mode, ..Directive::default() }).await.unwrap()
}

async fn on(session: &MistralrsSession, image: &str, question: &str) -> Answer {
    ask(session, prompt(FAMILY, &[image], question), Mode::On).await
}

fn report(answer: &Answer) -> &Report {
    answer.replay.as_ref().expect("a report")
}

fn bits(answer: &Answer) -> Vec<u32> {
    assert!(!answer.first_token.is_empty());
    answer.first_token.iter().chain(&answer.log_probs()).map(|x| x.to_bits()).collect()
}

fn cached(replay: &str) -> String {
    replay.replace("cache.max_bytes = 0\n", "")
}

#[test]
fn equal_models_learn_nothing_and_change_nothing_bit_for_bit() {
    runtime().block_on(async {
        for family in ["qwen2_5_vl", "qwen2_vl", "qwen3_vl"] {
            let model = fixture(family).join("pair/rlvr");
            for rule in ["quantile = 0.5", "fraction_of_max = 1.0", "top = 1"] {
                for (solver, loss) in [("gradient-descent", "lens"), ("lbfgs", "lens"), ("lbfgs", "residual")] {
                    let replay = format!(
                        "strategy = \"learned\"\nlayers = 4\n[replay.rank]\n{rule}\n[replay.learned]\nsolver = \"{solver}\"\n\
                         loss = \"{loss}\""
                    );
                    let session = MistralrsSession::open(&config(&model, &model, &replay)).await.unwrap();
                    let prompt = prompt(family, &["image.png", "image_tall.png"], QUESTION);
                    let off = ask(&session, prompt.clone(), Mode::Off).await;
                    let on = ask(&session, prompt, Mode::On).await;
                    let learned = report(&on).learned.as_ref().unwrap();
                    assert_eq!((learned.losses.as_slice(), learned.final_loss), (&[0.0][..], 0.0), "{family} {rule}");
                    assert_eq!((learned.delta_norm, learned.stop), (0.0, Stop::Zero));
                    let zero = |l: &replay_core::LayerReport| {
                        let apart = if loss == "lens" { l.kl } else { l.distance };
                        apart.is_some_and(|apart| apart.before == 0.0 && apart.after == 0.0)
                    };
                    assert!(report(&on).layers.iter().all(zero));
                    assert_eq!(bits(&off), bits(&on), "{family} {rule} {solver}");
                }
            }
        }
    });
}

/// The loss of hidden states: a delta at the input brings the later layers' states nearer to the base's, in every family.
#[test]
fn hidden_states_come_nearer_to_the_bases() {
    runtime().block_on(async {
        for family in crate::common::FAMILIES {
            let replay = "strategy = \"learned\"\nlayers = 4\n[replay.rank]\nfraction_of_max = 1.0\n[replay.learned]\nloss = \"residual\"\n\
                          solver = \"lbfgs\"\niterations = 12";
            let session = session(family, replay).await;
            let answer = ask(&session, prompt(family, &["image.png"], QUESTION), Mode::On).await;
            let report = report(&answer);
            let learned = report.learned.as_ref().unwrap();
            assert!(learned.final_loss < 0.8 * learned.losses[0], "{family}: {:?}", learned.losses);
            let sum = |pick: fn(&replay_core::BeforeAfter) -> f32| -> f32 {
                report.layers.iter().map(|layer| pick(&layer.distance.expect("a distance"))).sum()
            };
            assert!(sum(|d| d.after) < 0.8 * sum(|d| d.before), "{family}: {:?}", report.layers);
            assert!(report.layers.iter().all(|layer| layer.kl.is_none()));
        }
    });
}

#[test]
fn the_fast_solver_needs_a_third_of_the_passes_on_every_family() {
    runtime().block_on(async {
        for family in crate::common::FAMILIES {
            let solve = async |solver: &str, iterations: usize| {
                let replay = format!(
                    "strategy = \"learned\"\nlayers = 4\n[replay.rank]\nquantile = 0.5\n[replay.learned]\nsolver = \"{solver}\"\niterations = {iterations}"
                );
                let session = session(family, &replay).await;
                report(&ask(&session, prompt(family, &["image.png"], QUESTION), Mode::On).await).learned.clone().unwrap()
            };
            let (reference, fast) = (solve("gradient-descent", 25).await, solve("lbfgs", 8).await);
            assert_eq!((reference.iterations, reference.stop), (25, Stop::Iterations));
            assert!(fast.iterations <= 8);
            assert!(fast.final_loss <= reference.final_loss, "{family}: {} {}", fast.final_loss, reference.final_loss);
        }
    });
}

#[test]
fn a_second_question_about_an_image_pays_nothing_and_answers_as_if_it_had() {
    runtime().block_on(async {
        for replay in [LEARNED.to_owned(), crate::common::SUBSTITUTE.to_owned()] {
            let (with, without) = (session(FAMILY, &cached(&replay)).await, session(FAMILY, &replay).await);
            assert_eq!(report(&on(&with, "image.png", QUESTION).await).cache_hits, 0);
            for question in [QUESTION, "And what colour is it, please?"] {
                let (hit, paid) = (on(&with, "image.png", question).await, on(&without, "image.png", question).await);
                let (hit_report, paid_report) = (report(&hit), report(&paid));
                assert_eq!((hit_report.cache_hits, paid_report.cache_hits), (1, 0), "{question}");
                assert_eq!((hit_report.status, hit_report.rows), (Status::Replayed, paid_report.rows));
                assert_eq!(hit_report.milliseconds, replay_core::Milliseconds::default());
                assert!(paid_report.milliseconds.capture_base > 0.0);
                assert_eq!((&hit_report.layers, &hit_report.learned), (&paid_report.layers, &paid_report.learned));
                assert_eq!(bits(&hit), bits(&paid), "{question}");
            }
            // Another image, the same image at another place, the same pixels turned by a quarter: all pay.
            assert_eq!(report(&on(&with, "image_wide.png", QUESTION).await).cache_hits, 0);
            let system = Prompt { system: Some("Be brief.".into()), ..prompt(FAMILY, &["image.png"], QUESTION) };
            assert_eq!(report(&ask(&with, system, Mode::On).await).cache_hits, 0);
            let mut turned = prompt(FAMILY, &["image_wide.png"], QUESTION);
            let flat = turned.images[0].clone();
            turned.images[0] = Picture::rgb8(flat.height(), flat.width(), flat.pixels()).unwrap();
            assert_eq!(report(&ask(&with, turned, Mode::On).await).cache_hits, 0);
            assert!(with.replay().unwrap().cache().bytes() > 0);
            assert_eq!(without.replay().unwrap().cache().bytes(), 0);
        }
    });
}

#[test]
fn a_client_that_goes_away_frees_the_engine_within_one_pass() {
    runtime().block_on(async {
        let replay = "strategy = \"learned\"\nlayers = 6\n[replay.rank]\nfraction_of_max = 1.0\n[replay.learned]\niterations = 1000000\nlearning_rate = 1e-6";
        let session = Arc::new(session(FAMILY, replay).await);
        let (sender, mut passes) = mpsc::unbounded_channel();
        let gone = {
            let session = session.clone();
            let prompt = prompt(FAMILY, &["image.png"], QUESTION);
            tokio::spawn(async move {
                let mut listen = move |event| {
                    if let Event::Progress(progress) = event {
                        let _ = sender.send(progress);
                    }
                };
                let request = Request { sampling: SAMPLING, ..Request::new(prompt) };
                session.ask(request, &mut listen).await.is_ok()
            })
        };
        for pass in 1..=3 {
            assert_eq!(passes.recv().await.unwrap().pass, pass);
        }
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        // A million passes would take hours.
        let started = Instant::now();
        ask(&session, prompt(FAMILY, &["image.png"], QUESTION), Mode::Off).await;
        assert!(started.elapsed() < Duration::from_secs(20));
    });
}

#[test]
fn a_time_budget_keeps_the_best_delta_so_far() {
    runtime().block_on(async {
        let replay = "strategy = \"learned\"\nlayers = 4\n[replay.rank]\nquantile = 0.5\n[replay.learned]\niterations = 1000000\ntime_budget_ms = 1000";
        let session = session(FAMILY, replay).await;
        let answer = on(&session, "image.png", QUESTION).await;
        let learned = report(&answer).learned.as_ref().unwrap();
        assert_eq!(learned.stop, Stop::TimeBudget);
        assert!(learned.final_loss < learned.losses[0]);
    });
}

/// Quantised or half-precision weights on either side: the decoder is tested against the engine at start-up, and the loss falls.
#[test]
fn other_precisions_learn_too() {
    runtime().block_on(async {
        let pair = fixture("qwen2_5_vl").join("pair");
        for table in [
            "dtype = \"f16\"",
            "isq = \"q8_0\"",
            "[mistralrs.rlvr]\nisq = \"q8_0\"",
            "[mistralrs.base]\ndtype = \"f16\"",
        ] {
            let text = crate::common::toml(&pair.join("base"), &pair.join("rlvr"), LEARNED);
            let text = match table.starts_with('[') {
                true => format!("{text}{table}\n"),
                false => text.replace("[mistralrs]\n", &format!("[mistralrs]\n{table}\n")),
            };
            let config = replay_core::Config::from_str(&text, "test.toml").unwrap();
            let session = MistralrsSession::open(&config).await.unwrap();
            let answer = on(&session, "image.png", QUESTION).await;
            let learned = report(&answer).learned.as_ref().unwrap();
            assert!(learned.final_loss < learned.losses[0], "{table}: {:?}", learned.losses);
            let (base, rlvr) = session.replay().unwrap().decoder_errors().unwrap();
            println!("{table}: {base:e} {rlvr:e}");
            let plain = ask(&session, prompt(FAMILY, &["image.png"], QUESTION), Mode::Off).await;
            assert!(distance(&plain.first_token, &answer.first_token) > 0.0);
        }
    });
}

/// The paper's alternatives are configuration alone.
#[test]
fn every_example_configuration_of_the_shipped_pair_learns() {
    runtime().block_on(async {
        let examples = crate::common::repository().join("examples");
        let mut masks = Vec::new();
        for name in
            ["learned", "controls/high", "controls/all", "controls/random", "controls/middle", "controls/reverse"]
        {
            let file = examples.join("configs").join(format!("{name}.toml"));
            let session = MistralrsSession::open(&replay_core::Config::from_file(&file).unwrap()).await.unwrap();
            let picture = crate::common::image(&examples.join("images/000.png"));
            let asked = Prompt { images: vec![picture], text: "How many red shapes?".into(), ..Prompt::default() };
            let answer = ask(&session, asked, Mode::On).await;
            let learned = report(&answer).learned.as_ref().unwrap_or_else(|| panic!("{name}: {answer:?}"));
            assert!(learned.final_loss < 0.7 * learned.losses[0], "{name}: {:?}", learned.losses);
            masks.push(report(&answer).layers.iter().map(|layer| layer.selected).collect::<Vec<_>>());
        }
        let [low, high, all, random, middle, _] = &masks[..] else { panic!("six configurations") };
        assert_eq!(low, random);
        assert!(low != high && all.iter().all(|&selected| selected == 16) && middle.len() == 1);
    });
}
