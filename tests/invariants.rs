//! The invariants of ARCHITECTURE.md that need an engine; each test is named after one.
use crate::common;

use std::path::Path;
use std::sync::Arc;

use candle_core::Device;
use mistralrs_core::{
    AnyMoeConfig, AnyMoeExpertType, AnyMoeLoader, DeviceMapSetting, Loader, ModelDType, MultimodalLoaderBuilder,
    MultimodalSpecificConfig, SpeculativeConfig, SpeculativeLoader, TokenSource, forward_hook,
};
use replay_core::Status;
use replay_core::session::{Answer, Directive, Mode, Sampling, Session as _, SessionError};
use replay_mistralrs::{MistralrsSession, attach};

use crate::common::{SUBSTITUTE, change, config, copied, distance, fixture, prompt, runtime, session};
use crate::families::Spec;

const FAMILY: &str = "qwen2_5_vl";
const QUESTION: &str = "What is in the picture?";
const SAMPLING: Sampling = Sampling::greedy(8);

async fn ask(session: &MistralrsSession, mode: Mode) -> Answer {
    let directive = Directive { mode, ..Directive::default() };
    session.answer(prompt(FAMILY, &["image.png"], QUESTION), SAMPLING, directive).await.unwrap()
}

fn bits(answer: &Answer) -> (Vec<u32>, Vec<u32>) {
    let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect();
    (bits(&answer.first_token), bits(&answer.log_probs()))
}

async fn twins(replay: &str) -> MistralrsSession {
    let model = fixture(FAMILY).join("pair/rlvr");
    MistralrsSession::open(&config(&model, &model, replay)).await.unwrap()
}

#[test]
fn base_equal_to_rlvr_changes_nothing_bit_for_bit() {
    runtime().block_on(async {
        for rule in ["fraction_of_max = 1.0", "top = 7", "quantile = 0.3\nkeep = \"high\""] {
            for (positions, blend) in [("visual", 1.0), ("all", 1.0), ("all", 0.3)] {
                let replay = format!(
                    "strategy = \"substitute\"\nlayers = 6\npositions = \"{positions}\"\nblend = {blend:?}\nmeasure_kl = true\n[replay.rank]\n{rule}"
                );
                let session = twins(&replay).await;
                let (off, on) = (ask(&session, Mode::Off).await, ask(&session, Mode::On).await);
                let report = on.replay.as_ref().unwrap();
                assert_eq!(report.status, Status::Replayed);
                let kl = |layer: &replay_core::LayerReport| layer.kl.is_none_or(|kl| kl.before == 0.0 && kl.after == 0.0);
                assert!(report.layers.iter().all(kl), "{report:?}");
                assert_eq!(bits(&off), bits(&on), "{positions} {blend} {rule}");
            }
        }
        // The comparison is strict, so equal models select nothing.
        let session = twins("strategy = \"substitute\"\nlayers = 6\n[replay.rank]\ntop = 9\nbase_below_rlvr = true").await;
        assert_eq!(ask(&session, Mode::On).await.replay.unwrap().status, Status::NothingSelected);
    });
}

#[test]
fn off_is_the_engine() {
    runtime().block_on(async {
        let plain = session(FAMILY, &format!("enabled = false\n{SUBSTITUTE}")).await;
        let hooked = session(FAMILY, SUBSTITUTE).await;
        let engine = ask(&plain, Mode::On).await;
        assert!(engine.replay.is_none());
        let (first, on, again) =
            (ask(&hooked, Mode::Off).await, ask(&hooked, Mode::On).await, ask(&hooked, Mode::Off).await);
        assert_eq!(bits(&engine), bits(&first));
        assert_ne!(bits(&first), bits(&on));
        assert_eq!(bits(&first), bits(&again));
    });
}

#[test]
fn only_the_layers_needed_are_loaded_and_give_the_same() {
    runtime().block_on(async {
        // Policy layer 5 alone needs all six; its report must show the same entropies for the layers in front as a short base.
        let replay =
            |layers: &str| format!("strategy = \"substitute\"\nlayers = {layers}\n[replay.rank]\nquantile = 0.5");
        let (short, full) = (session(FAMILY, &replay("2")).await, session(FAMILY, &replay("[0, 1, 5]")).await);
        let loaded = |session: &MistralrsSession| session.replay().unwrap().pair().base.loaded_layers;
        assert_eq!((loaded(&short), loaded(&full)), (2, 6));
        let (short, full) = (ask(&short, Mode::On).await, ask(&full, Mode::On).await);
        assert_eq!(short.replay.unwrap().layers[..2], full.replay.unwrap().layers[..2]);
    });
}

#[test]
fn samples_of_one_prompt_are_decided_once() {
    runtime().block_on(async {
        let session = session(FAMILY, SUBSTITUTE).await;
        let one = ask(&session, Mode::On).await;
        let sampling = Sampling { samples: 4, ..SAMPLING };
        let prompt = prompt(FAMILY, &["image.png"], QUESTION);
        let four = session.answer(prompt, sampling, Directive::default()).await.unwrap();
        assert_eq!(four.choices.len(), 4);
        for choice in &four.choices {
            let log_probs: Vec<f32> = choice.tokens.iter().map(|token| token.log_prob).collect();
            assert!(distance(&log_probs, &one.log_probs()) < 2e-5);
        }
        assert!(session.replay().unwrap().held_decisions() <= 2);
    });
}

#[test]
fn a_failure_of_replay_fails_that_request_or_passes_it_through_as_configured() {
    // This base loads, passes the self-test on text, and panics on every image.
    let (_folder, base, rlvr) = copied(FAMILY);
    change(&base.join("config.json"), |config| config["vision_config"]["window_size"] = 0.into());
    let file = base.with_file_name("replay.toml");
    std::fs::write(&file, crate::common::toml(&base, &rlvr, SUBSTITUTE)).unwrap();
    let mut check = assert_cmd::Command::new(env!("CARGO_BIN_EXE_replay"));
    check.args(["check", "--config"]).arg(&file).assert().code(4);
    runtime().block_on(async {
        for (on_error, fails) in [("fail", true), ("passthrough", false)] {
            let replay = format!("on_error = \"{on_error}\"\n{SUBSTITUTE}");
            let session = Arc::new(MistralrsSession::open(&config(&base, &rlvr, &replay)).await.unwrap());
            let plain = ask(&session, Mode::Off).await;
            let other = {
                let session = session.clone();
                tokio::spawn(async move { ask(&session, Mode::Off).await })
            };
            let prompt = prompt(FAMILY, &["image.png"], QUESTION);
            let broken = session.answer(prompt, SAMPLING, Directive::default()).await;
            if fails {
                let why = match broken {
                    Err(error @ SessionError::Replay(_)) => error.to_string(),
                    other => panic!("{other:?}"),
                };
                assert!(why.contains("activation replay failed") && why.contains("base"), "{why}");
            } else {
                let answer = broken.unwrap();
                assert!(distance(&answer.log_probs(), &plain.log_probs()) < 2e-5);
                let report = answer.replay.unwrap();
                assert_eq!(report.status, Status::Passthrough);
                assert!(report.reason.as_ref().unwrap().contains("base"), "{report:?}");
            }
            let off = distance(&other.await.unwrap().log_probs(), &plain.log_probs());
            assert!(off < 2e-5, "a request beside it: {off:e}");
            assert_eq!(bits(&ask(&session, Mode::Off).await), bits(&plain), "the next request");
        }
    });
}

#[test]
fn clients_that_go_away_take_nothing_with_them() {
    runtime().block_on(async {
        let session = Arc::new(session(FAMILY, SUBSTITUTE).await);
        let before = ask(&session, Mode::On).await;
        for round in 0..100u64 {
            let gone = {
                let session = session.clone();
                let sampling = Sampling { max_tokens: Some(40), ..SAMPLING };
                let prompt = prompt(FAMILY, &["image_wide.png"], QUESTION);
                tokio::spawn(async move { session.answer(prompt, sampling, Directive::default()).await.is_ok() })
            };
            tokio::time::sleep(std::time::Duration::from_micros(round * 300)).await;
            gone.abort();
            if round % 10 == 9 {
                let off = distance(&ask(&session, Mode::On).await.log_probs(), &before.log_probs());
                assert!(off < 2e-5, "round {round}: {off:e}");
            }
        }
        assert_eq!(bits(&ask(&session, Mode::On).await), bits(&before));
        assert!(
            session.replay().unwrap().held_decisions() <= 3,
            "{} decisions held",
            session.replay().unwrap().held_decisions()
        );
    });
}

#[test]
fn text_without_images_costs_nothing_and_says_so() {
    runtime().block_on(async {
        let session = session(FAMILY, SUBSTITUTE).await;
        let answer =
            session.answer(prompt(FAMILY, &[], "Name three colours."), SAMPLING, Directive::default()).await.unwrap();
        let report = answer.replay.unwrap();
        assert_eq!((report.status, report.reason.as_deref()), (Status::Passthrough, Some("the prompt has no image")));
        assert_eq!(report.milliseconds.capture_base, 0.0);
    });
}

#[test]
fn attach_needs_a_pipeline_that_is_not_running_yet() {
    let pair = fixture(FAMILY).join("pair");
    let config = config(&pair.join("base"), &pair.join("rlvr"), SUBSTITUTE);
    let loader = mistralrs_core::MultimodalLoaderBuilder::new(
        mistralrs_core::MultimodalSpecificConfig::default(),
        None,
        None,
        Some(pair.join("rlvr").display().to_string()),
        None,
    );
    let pipeline = loader
        .build(None)
        .load_model_from_hf(
            None,
            mistralrs_core::TokenSource::None,
            &mistralrs_core::ModelDType::F32,
            &candle_core::Device::Cpu,
            true,
            mistralrs_core::DeviceMapSetting::dummy(),
            None,
            None,
        )
        .unwrap();
    let attached = attach(&pipeline, &config).unwrap().unwrap();
    assert_eq!(attached.pair().base.loaded_layers, 4);
    let busy = pipeline.try_lock().unwrap();
    assert!(attach(&pipeline, &config).unwrap_err().to_string().contains("in use"));
    forward_hook::detach(&*busy);
}

fn loader(path: &Path) -> Box<dyn Loader> {
    let (id, specific) = (path.display().to_string(), MultimodalSpecificConfig::default());
    MultimodalLoaderBuilder::new(specific, None, None, Some(id), None).build(None)
}

/// Why a pipeline that such a loader loads cannot be the RLVR model of a pair.
fn refused(loader: &dyn Loader, base: &Path, rlvr: &Path) -> String {
    let (dtype, device, map) = (ModelDType::F32, Device::Cpu, DeviceMapSetting::dummy());
    let pipeline = loader.load_model_from_hf(None, TokenSource::None, &dtype, &device, true, map, None, None).unwrap();
    attach(&pipeline, &common::config(base, rlvr, SUBSTITUTE)).unwrap_err().to_string()
}

#[test]
fn a_pipeline_of_two_models_is_refused() {
    let pair = fixture(FAMILY).join("pair");
    let (base, rlvr) = (pair.join("base"), pair.join("rlvr"));
    let config = SpeculativeConfig { gamma: 2 };
    let two = SpeculativeLoader { target: loader(&rlvr), draft: loader(&base), config };
    let why = refused(&two, &base, &rlvr);
    assert!(why.contains("Speculative"), "{why}");
}

#[test]
fn a_pipeline_of_any_experts_is_refused() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let (base, rlvr) = Spec::read("gemma3").write_pair(folder.path());
    let rows = folder.path().join("gates.json");
    std::fs::write(&rows, r#"{"rows": [{"prompt": "What is it?", "expert": 0}]}"#).expect("a writable folder");
    let config = AnyMoeConfig {
        hidden_size: 32,
        lr: 1e-3,
        epochs: 1,
        batch_size: 1,
        expert_type: AnyMoeExpertType::FineTuned,
        gate_model_id: None,
        training: true,
        loss_csv_path: None,
    };
    let experts = AnyMoeLoader {
        target: loader(&rlvr),
        config,
        path: rows.display().to_string(),
        prefix: "language_model.model.layers".into(),
        mlp: "mlp".into(),
        model_ids: vec![base.display().to_string()],
        layers: vec![0],
    };
    let why = refused(&experts, &base, &rlvr);
    assert!(why.contains("cannot be replayed"), "{why}");
}

#[test]
fn a_pipeline_of_whose_configuration_the_engine_missed_parts_is_refused() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let (base, rlvr) = Spec::read("llava").write_pair(folder.path());
    change(&rlvr.join("config.json"), |config| {
        let text = config["text_config"].as_object_mut().expect("a text model");
        let theta = text.remove("rope_theta").expect("a number");
        text.insert("rope_parameters".into(), serde_json::json!({"rope_type": "default", "rope_theta": theta}));
    });
    let why = refused(&*loader(&rlvr), &base, &rlvr);
    assert!(why.contains("transformers 5"), "{why}");
}

#[test]
fn install_reaches_pipelines_loaded_by_any_route() {
    // In a process of its own: the observer is one per process. (Not through cargo, whose variables in a test's environment would
    // have dependencies compiled again.)
    let built = std::path::Path::new(env!("CARGO_BIN_EXE_replay")).with_file_name("examples/existing_deployment");
    let output = std::process::Command::new(built).output().unwrap();
    let (text, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("boxed"), "{text}{log}");
    assert!(log.contains("activation replay is on for"), "{log}");
}
