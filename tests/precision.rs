//! Quantised models, half precision and mapped layers: how far entropies move, and what the report says.
use std::collections::HashMap;
use std::path::Path;

use candle_core::DType;
use replay_core::Config;
use replay_core::session::{Directive, Prompt, Sampling, Session as _};
use replay_mistralrs::MistralrsSession;
use replay_mistralrs::families::Family;

use crate::common::{config, copied, distance, fixture, prompt, runtime, tensors, toml, toml_with, values};
use crate::families::{Spec, names, picture};

const FAMILY: &str = "qwen2_5_vl_wide";
const REPLAY: &str = "strategy = \"substitute\"\nlayers = 4\ncache.max_bytes = 0\n[replay.rank]\nquantile = 0.5";

/// Keys of `[mistralrs]`, what the report says of base and RLVR model, and how far an entropy may be from that of the f32 models, in nats
/// (of at most the logarithm of the vocabulary's size).
const CASES: [(&str, [&str; 2], f32); 4] = [
    ("rlvr.isq = \"q8_0\"", ["F32", "F32, q8_0"], 0.05),
    ("base.isq = \"q8_0\"", ["F32, q8_0", "F32"], 0.05),
    ("isq = \"q8_0\"", ["F32, q8_0", "F32, q8_0"], 0.05),
    ("dtype = \"f16\"", ["F16", "F16"], 0.01),
];

fn with(keys: &str) -> Config {
    let pair = fixture(FAMILY).join("pair");
    let text = toml(&pair.join("base"), &pair.join("rlvr"), REPLAY);
    Config::from_str(&text.replace("[replay]", &format!("{keys}\n[replay]")), "test.toml")
        .expect("a valid configuration")
}

async fn entropies(config: &Config) -> (Vec<Vec<f32>>, replay_core::Report) {
    entropies_of(config, prompt(FAMILY, &["image.png"], "What is it?"), 4).await
}

/// Of the residuals up to this layer's of both models, and what the report says.
async fn entropies_of(config: &Config, prompt: Prompt, layers: usize) -> (Vec<Vec<f32>>, replay_core::Report) {
    let session = MistralrsSession::open(config).await.unwrap_or_else(|e| panic!("{e}"));
    let directive = Directive { trace: true, ..Directive::default() };
    let sampling = Sampling { max_tokens: Some(3), ..Sampling::default() };
    let answer = session.answer(prompt, sampling, directive).await.expect("an answer");
    let trace = answer.trace.expect("a trace");
    let names =
        ["base", "rlvr"].iter().flat_map(|role| (0..=layers).map(move |layer| format!("entropy.{role}.{layer}")));
    (names.map(|name| values(trace.get(&name).expect("traced"))).collect(), answer.replay.expect("a report"))
}

/// The largest difference, in nats.
fn apart(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| distance(a, b)).fold(0.0, f32::max)
}

#[test]
fn entropies_of_quantised_and_half_precision_models_stay_near_and_the_report_names_the_precision() {
    runtime().block_on(async {
        let (exact, report) = entropies(&with("")).await;
        assert_eq!(report.precision.map(|p| [p.base, p.rlvr]), Some(["F32".into(), "F32".into()]));
        for (keys, precision, tolerance) in CASES {
            let (found, report) = entropies(&with(keys)).await;
            let off = apart(&exact, &found);
            println!("{keys}: entropies within {off:.4} nats");
            assert!(off > 0.0 && off < tolerance, "{keys}: {off}");
            let named = report.precision.expect("a precision");
            assert_eq!([named.base, named.rlvr], precision.map(String::from), "{keys}");
        }
    });
}

#[test]
fn layers_mapped_by_a_topology_compute_the_same() {
    let (folder, base, rlvr) = copied(FAMILY);
    let layers = crate::common::json(&rlvr.join("config.json"))["num_hidden_layers"].as_u64().expect("layers");
    // One device here; the engine's mapper for several moves every layer's input all the same.
    let file = folder.path().join("topology.yml");
    std::fs::write(&file, format!("0-2:\n  device: cpu\n2-{layers}:\n  device: cpu\n")).unwrap();
    let text = toml(&base, &rlvr, REPLAY).replace("[replay]", "topology = \"topology.yml\"\n[replay]");
    let path = folder.path().join("replay.toml");
    std::fs::write(&path, text).unwrap();
    runtime().block_on(async {
        let (plain, _) = entropies(&config(&base, &rlvr, REPLAY)).await;
        let (mapped, report) = entropies(&Config::from_file(&path).unwrap()).await;
        assert_eq!(plain, mapped);
        assert_eq!(report.precision.expect("a precision").rlvr, "F32, by topology");
    });
    // What is no topology is an error of the start, with the file's name.
    std::fs::write(&file, "zero: {device: moon}").unwrap();
    let error = runtime().block_on(MistralrsSession::open(&Config::from_file(&path).unwrap())).unwrap_err().to_string();
    assert!(error.contains("topology.yml"), "{error}");
}

/// Weights that f16 holds exactly, so that what differs is what is computed.
fn round_to_f16(model: &Path) {
    let file = model.join("model.safetensors");
    let rounded: HashMap<_, _> = tensors(&file)
        .into_iter()
        .map(|(name, tensor)| (name, tensor.to_dtype(DType::F16).and_then(|t| t.to_dtype(DType::F32)).expect("a cast")))
        .collect();
    candle_core::safetensors::save(&rounded, file).expect("a writable folder");
}

#[test]
fn every_family_computes_the_same_in_f16_as_nearly_as_it_can() {
    let mut wrong = Vec::new();
    for name in names() {
        let spec = Spec::read(&name);
        let family = Family::of(&spec.config).expect("a profile");
        let folder = tempfile::tempdir().expect("a scratch folder");
        let (base, rlvr) = spec.write_pair(folder.path());
        round_to_f16(&base);
        round_to_f16(&rlvr);
        let positions = if family.has_visual_rows { "visual" } else { "all" };
        let replay = format!(
            "strategy = \"substitute\"\nlayers = 3\npositions = \"{positions}\"\ncache.max_bytes = 0\nrank.quantile = 0.6"
        );
        let of = |dtype: &str| {
            let text = toml_with(&base, &rlvr, &format!("dtype = \"{dtype}\"\n"), &replay);
            let prompt = Prompt { images: vec![picture(60, 50)], text: "What is this?".into(), ..Prompt::default() };
            runtime().block_on(entropies_of(&Config::from_str(&text, "test.toml").expect("valid"), prompt, 3))
        };
        let ((exact, _), (half, report)) = (of("f32"), of("f16"));
        assert_eq!(report.precision.expect("a precision").rlvr, "F16", "{name}");
        // Rounding may send a row to another expert, or over the edge of the selection.
        let mut off: Vec<f32> =
            exact.concat().iter().zip(half.concat()).map(|(exact, half)| (exact - half).abs()).collect();
        off.sort_by(f32::total_cmp);
        let (most, all) = (off[off.len() * 19 / 20], off[off.len() - 1]);
        println!("{name}: 19 of 20 entropies within {most:.4} nats, all within {all:.4}");
        // Gated linear attention makes rounding larger.
        let tolerance = if name.starts_with("qwen3_5") { 0.1 } else { 0.01 };
        if most.is_nan() || most > tolerance {
            wrong.push(format!("{name}: {most}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn bf16_on_a_cpu_is_refused_with_the_reason() {
    let why = runtime().block_on(MistralrsSession::open(&with("dtype = \"bf16\""))).expect_err("refused").to_string();
    assert!(why.contains("the engine cannot compute in bf16 on a CPU"), "{why}");
}
