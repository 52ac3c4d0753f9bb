//! Broken configurations through the real binary: exit code 2, the line, what was expected, and the nearest valid key.

use std::path::Path;

use assert_cmd::Command;

const VALID: &str = r#"adapter = "mistralrs"

[pair]
rlvr = "a"
base = "b"

[replay]
enabled   = true
strategy  = "substitute"
layers    = 4
positions = "visual"
alignment = "aligned"
on_error  = "fail"
blend     = 1.0

[replay.rank]
fraction_of_max = 0.4
base_below_rlvr = false

[mistralrs]
device = "cpu"
"#;

/// What is replaced, by what, and what the message must hold: place, expectation, hint.
const BROKEN: &[(&str, &str, &[&str])] = &[
    ("fraction_of_max = 0.4", "fraction_of_maks = 0.4", &[":17:1:", "did you mean `fraction_of_max`"]),
    ("strategy  = \"substitute\"", "stratgy = \"substitute\"", &[":9:1:", "did you mean `strategy`"]),
    ("strategy  = \"substitute\"", "strategy = \"substitude\"", &[":9:12:", "\"substitute\""]),
    ("strategy  = \"substitute\"\n", "", &["preset", "strategy"]),
    ("layers    = 4", "layers = 0", &[":10:10:", "from 1 to 4096"]),
    ("layers    = 4", "layers = \"all\"", &[":10:10:", "layers"]),
    ("layers    = 4", "layers = [3, 1]", &[":10:", "ascending"]),
    ("layers    = 4\n", "", &["layers"]),
    ("positions = \"visual\"", "positions = \"image\"", &[":11:13:", "\"visual\""]),
    ("alignment = \"aligned\"", "alignment = true", &[":12:13:", "\"released\""]),
    ("on_error  = \"fail\"", "on_error = \"ignore\"", &[":13:12:", "\"passthrough\""]),
    ("blend     = 1.0", "blend = 1.5", &[":14:9:", "1"]),
    ("fraction_of_max = 0.4", "fraction_of_max = 0.0", &[":17:19:", "0"]),
    ("fraction_of_max = 0.4", "fraction_of_max = nan", &[":17:19:"]),
    ("fraction_of_max = 0.4", "fraction_of_max = 0.4\ntop = 3", &[":18:1:", "rule"]),
    ("fraction_of_max = 0.4\n", "", &["fraction_of_max"]),
    ("fraction_of_max = 0.4", "below = [4.0, 3.0]", &[":17:", "4"]),
    ("base_below_rlvr = false", "base_below_rlvr = \"no\"", &[":18:19:"]),
    ("base_below_rlvr = false", "base_below_rlvr = true\nkeep = \"high\"", &["base_below_rlvr"]),
    ("[replay.rank]", "[replay.rnak]", &[":16:", "did you mean `rank`"]),
    ("[pair]\nrlvr = \"a\"\nbase = \"b\"\n", "", &["pair"]),
    ("rlvr = \"a\"", "rlvr = \"\"", &[":4:8:"]),
    ("adapter = \"mistralrs\"", "adapter = \"vllm\"", &[":1:"]),
    ("adapter = \"mistralrs\"\n", "", &["adapter"]),
    ("device = \"cpu\"", "device = \"tpu\"", &[":21:1:", "cuda:N", "found string \"tpu\""]),
    ("device = \"cpu\"", "devise = \"cpu\"", &[":21:1:", "did you mean `device`"]),
    ("device = \"cpu\"", "max_seqs = 0", &[":21:12:"]),
    ("device = \"cpu\"", "isq = \"q3\"", &[":21:1:", "quantisation"]),
    ("layers    = 4", "layers = ", &[":10:"]),
    ("strategy  = \"substitute\"", "preset = \"paper-maths\"", &[":9:10:", "paper-math"]),
    ("[mistralrs]", "[mistral]", &[":20:", "mistralrs"]),
];

fn check(file: &Path) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_replay")).arg("check").arg("--config").arg(file).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn written(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("replay.toml");
    std::fs::write(&file, text).unwrap();
    (folder, file)
}

#[test]
fn each_is_refused_with_line_expectation_and_nearest_key() {
    for (index, (from, to, holds)) in BROKEN.iter().enumerate() {
        assert!(VALID.contains(from), "case {index}");
        let (_folder, file) = written(&VALID.replacen(from, to, 1));
        let (code, message) = check(&file);
        assert_eq!(code, 2, "case {index}, {to:?}\n{message}");
        for part in *holds {
            assert!(message.contains(part), "case {index}, {to:?}: no {part:?} in\n{message}");
        }
        assert!(!message.contains("panicked"), "case {index}\n{message}");
    }
}

#[test]
fn all_problems_are_reported_at_once() {
    let broken = VALID.replace("layers    = 4", "layers = -1").replace("blend ", "blnd ").replace("\"cpu\"", "7");
    let (_folder, file) = written(&broken);
    let (code, message) = check(&file);
    assert_eq!(code, 2);
    for place in [":10:", ":14:", ":21:"] {
        assert!(message.contains(place), "{message}");
    }
}

#[test]
fn files_that_are_no_configuration_are_refused() {
    let (folder, file) = written("\u{0}\u{1}");
    assert_eq!(check(&file).0, 2);
    std::fs::write(&file, [0xff, 0xfe, 0x00]).unwrap();
    assert_eq!(check(&file).0, 2);
    let (code, message) = check(&folder.path().join("missing.toml"));
    assert!(code == 2 && message.contains("missing.toml"), "{message}");
    assert_eq!(check(folder.path()).0, 2, "a folder");
}

#[test]
fn a_policy_deeper_than_the_model_is_refused_with_its_line() {
    let pair = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/qwen2_5_vl/pair");
    let text = VALID
        .replace("\"a\"", &format!("{:?}", pair.join("rlvr").display().to_string()))
        .replace("\"b\"", &format!("{:?}", pair.join("base").display().to_string()))
        .replace("layers    = 4", "layers = 9");
    let (_folder, file) = written(&text);
    let (code, message) = check(&file);
    assert!(code == 2 && message.contains(":10:") && message.contains("below 6"), "{code} {message}");
}

#[test]
fn strategy_learned_is_refused_for_a_decoder_of_another_kind() {
    let (_models, base, rlvr) = crate::common::copied("qwen2_5_vl");
    for model in [&base, &rlvr] {
        crate::common::change(&model.join("config.json"), |config| config["hidden_act"] = "gelu".into());
    }
    let text = VALID
        .replace("\"a\"", &format!("{:?}", rlvr.display().to_string()))
        .replace("\"b\"", &format!("{:?}", base.display().to_string()))
        .replace("\"substitute\"", "\"learned\"")
        .replace("blend     = 1.0\n", "");
    let (_folder, file) = written(&text);
    let (code, message) = check(&file);
    assert!(code == 4 && message.contains("hidden_act"), "{code} {message}");
}
