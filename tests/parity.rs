//! Every intermediate against PyTorch (tests/oracle makes the goldens).

use std::path::Path;

use crate::common::{FAMILIES, distance, fixture, json, tensors, toml, values};
use serde_json::Value;

/// Tolerances: residuals relative to their largest value, entropies and log-probabilities absolute, in nats.
const RESIDUAL: f32 = 2e-5;
const ENTROPY: f32 = 2e-5;
const LOG_PROBABILITY: f32 = 2e-5;

fn replay(arguments: &Value, alignment: &str, positions: &str) -> String {
    let rule = match positions {
        "all" => format!("below = {}\nbase_below_rlvr = true", arguments["below"]),
        _ => format!("fraction_of_max = {}", arguments["fraction_of_max"]),
    };
    format!(
        "strategy = \"substitute\"\nlayers = {}\npositions = \"{positions}\"\nalignment = \"{alignment}\"\n[replay.rank]\n{rule}",
        arguments["layers"]
    )
}

/// `replay trace` through the real binary.
fn trace(folder: &Path, arguments: &Value, replay: &str, out: &Path) {
    let pair = folder.join("pair");
    let file = out.with_extension("toml");
    std::fs::write(&file, toml(&pair.join("base"), &pair.join("rlvr"), replay)).unwrap();
    let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_replay"));
    command.arg("trace").arg("--config").arg(&file).arg("--out").arg(out);
    command.arg("--prompt").arg(arguments["prompt"].as_str().unwrap());
    for image in arguments["images"].as_array().unwrap() {
        command.arg("--image").arg(folder.join(image.as_str().unwrap()));
    }
    if let Some(system) = arguments["system"].as_str() {
        command.arg("--system").arg(system);
    }
    command.assert().success();
}

fn agrees(family: &str) {
    let folder = fixture(family);
    let (arguments, golden) = (json(&folder.join("golden.json")), tensors(&folder.join("golden.safetensors")));
    let scratch = tempfile::tempdir().unwrap();
    for (alignment, positions) in [("released", "all"), ("aligned", "all"), ("aligned", "visual")] {
        let case = format!("substitute.{alignment}.{positions}");
        let out = scratch.path().join("trace.safetensors");
        trace(&folder, &arguments, &replay(&arguments, alignment, positions), &out);
        let got = tensors(&out);
        for name in ["token_ids", "visual_rows"] {
            assert_eq!(values(&got[name]), values(&golden[name]), "{family} {case} {name}");
        }
        let mask = &golden[&format!("{case}.mask")];
        assert_eq!(got["mask"].dims(), mask.dims());
        assert_eq!(values(&got["mask"]), values(mask), "{family} {case} mask");
        for (name, golden) in
            golden.iter().filter(|(name, _)| name.starts_with("residual") || name.starts_with("entropy"))
        {
            let (golden, got) = (values(golden), values(&got[name]));
            let off = distance(&golden, &got);
            let largest = golden.iter().fold(0f32, |largest, x| largest.max(x.abs()));
            let bound = if name.starts_with("residual") { RESIDUAL * largest } else { ENTROPY };
            assert!(off <= bound, "{family} {case} {name}: {off:e}");
        }
        for (got, golden) in [
            (&got["logprobs.plain"], &golden["logprobs.plain"]),
            (&got["logprobs.replayed"], &golden[&format!("{case}.logprobs")]),
        ] {
            let off = distance(&values(got), &values(golden));
            assert!(off <= LOG_PROBABILITY, "{family} {case}: log-probabilities off by {off:e}");
        }
    }
}

/// A learned case of the goldens: the lines that configure it.
struct Learned {
    case: &'static str,
    /// Name of the mask in the golden.
    mask: &'static str,
    alignment: &'static str,
    layers: Option<&'static str>,
    /// In place of the golden's own fraction.
    rule: Option<&'static str>,
    learned: &'static str,
}

const LEARNED: [Learned; 5] = [
    Learned { case: "aligned", mask: "learned.mask", alignment: "aligned", layers: None, rule: None, learned: "" },
    Learned { case: "released", mask: "learned.mask", alignment: "released", layers: None, rule: None, learned: "" },
    Learned { case: "high", mask: "learned.high.mask", alignment: "aligned", layers: None, rule: None, learned: "" },
    Learned {
        case: "all",
        mask: "learned.all.mask",
        alignment: "aligned",
        layers: None,
        rule: Some("fraction_of_max = 1.0"),
        learned: "",
    },
    Learned {
        case: "middle",
        mask: "learned.middle.mask",
        alignment: "released",
        layers: Some("[2]"),
        rule: None,
        learned: "inject = 2",
    },
];

/// The published algorithm, with its alternatives, to the tolerances of the goldens: losses relative, delta over its largest value,
/// log-probabilities absolute. The last digits differ by the order of sums alone, so they are far closer than they need be.
fn learns_like_the_oracle(family: &str) {
    const LOSS: f32 = 2e-5;
    const DELTA: f32 = 2e-4;
    let folder = fixture(family);
    let (arguments, golden) = (json(&folder.join("golden.json")), tensors(&folder.join("golden.safetensors")));
    let scratch = tempfile::tempdir().unwrap();
    for Learned { case, mask, alignment, layers, rule, learned } in &LEARNED {
        let layers = layers.map_or_else(|| arguments["layers"].to_string(), str::to_owned);
        let rule = rule.map_or_else(|| format!("fraction_of_max = {}", arguments["fraction_of_max"]), str::to_owned);
        let keep = if *case == "high" { "\nkeep = \"high\"" } else { "" };
        let replay = format!(
            "strategy = \"learned\"\nlayers = {layers}\nalignment = \"{alignment}\"\n[replay.rank]\n{rule}{keep}\n[replay.learned]\n{learned}"
        );
        let out = scratch.path().join("trace.safetensors");
        trace(&folder, &arguments, &replay, &out);
        let got = tensors(&out);
        assert_eq!(values(&got["mask"]), values(&golden[*mask]), "{family} {case} mask");
        let golden = |what: &str| values(&golden[&format!("learned.{case}.{what}")]);
        let (want, losses) = (golden("losses"), values(&got["learned.losses"]));
        let off = want.iter().zip(&losses).map(|(want, got)| ((want - got) / want).abs()).fold(0.0, f32::max);
        assert!(losses.len() == want.len() && off <= LOSS, "{family} {case} losses: {off:e}");
        let (want, delta) = (golden("delta"), values(&got["learned.delta"]));
        let largest = want.iter().fold(0f32, |largest, x| largest.max(x.abs()));
        let off = distance(&want, &delta);
        assert!(off <= DELTA * largest, "{family} {case} delta: {off:e} of {largest:e}");
        let off = distance(&golden("logprobs"), &values(&got["logprobs.replayed"]));
        assert!(off <= LOG_PROBABILITY, "{family} {case}: log-probabilities off by {off:e}");
    }
}

#[test]
fn every_family_learns_like_the_oracle() {
    for family in FAMILIES {
        learns_like_the_oracle(family);
    }
}

#[test]
fn every_family_agrees_with_the_oracle() {
    for family in FAMILIES {
        agrees(family);
    }
}
