//! Quantised models, half precision and mapped layers: how far entropies move, and what the report says.
use replay_core::Config;
use replay_mistralrs::{Directive, Sampling, Session};

use crate::common::{config, copied, distance, fixture, prompt, runtime, toml, values};

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
    let session = Session::open(config).await.unwrap_or_else(|e| panic!("{e}"));
    let directive = Directive { trace: true, ..Directive::default() };
    let sampling = Sampling { max_tokens: 1, ..Sampling::default() };
    let answer =
        session.ask(prompt(FAMILY, &["image.png"], "What is it?"), sampling, directive).await.expect("an answer");
    let trace = answer.trace.expect("a trace");
    let names = ["base", "rlvr"].iter().flat_map(|role| (0..=4).map(move |layer| format!("entropy.{role}.{layer}")));
    (names.map(|name| values(trace.get(&name).expect("traced"))).collect(), answer.replay.expect("a report"))
}

#[test]
fn entropies_of_quantised_and_half_precision_models_stay_near_and_the_report_names_the_precision() {
    runtime().block_on(async {
        let (exact, report) = entropies(&with("")).await;
        assert_eq!(report.precision.map(|p| [p.base, p.rlvr]), Some(["F32".into(), "F32".into()]));
        for (keys, precision, tolerance) in CASES {
            let (found, report) = entropies(&with(keys)).await;
            let off = exact.iter().zip(&found).map(|(a, b)| distance(a, b)).fold(0.0, f32::max);
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
    let error = runtime().block_on(Session::open(&Config::from_file(&path).unwrap())).unwrap_err().to_string();
    assert!(error.contains("topology.yml"), "{error}");
}
