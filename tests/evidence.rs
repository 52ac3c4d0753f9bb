//! `replay eval`, `analyse`, `inspect` and `bench` through the real binary, on the pair that ships.
use std::path::{Path, PathBuf};

use crate::common::repository;
use serde_json::Value;

pub(crate) fn configuration(name: &str) -> PathBuf {
    repository().join("examples/configs").join(format!("{name}.toml"))
}

pub(crate) fn replay(arguments: &[&str]) -> (i32, String, String) {
    let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_replay")).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

pub(crate) fn json(arguments: &[&str]) -> Value {
    let (code, text, log) = replay(arguments);
    assert_eq!(code, 0, "{log}");
    serde_json::from_str(&text).unwrap()
}

/// The six questions that ship, beside their images.
pub(crate) fn data(folder: &Path, change: impl FnOnce(String) -> String) -> String {
    let images = repository().join("examples/images");
    for entry in std::fs::read_dir(&images).unwrap().flatten().filter(|entry| entry.path().is_file()) {
        std::fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    let lines = std::fs::read_to_string(images.join("questions.jsonl")).unwrap();
    let file = folder.join("set.jsonl");
    std::fs::write(&file, change(lines)).unwrap();
    file.display().to_string()
}

pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn an_evaluation_that_was_cut_off_goes_on_and_gives_the_same_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path(), |lines| lines);
    let (learned, substitute) = (shown(&configuration("learned")), shown(&configuration("substitute")));
    let run = |out: &str| -> Vec<String> {
        let out = shown(&folder.path().join(out));
        [
            "eval",
            "--config",
            &learned,
            "--config",
            &substitute,
            "--base",
            "--data",
            &data,
            "--samples",
            "3",
            "--max-tokens",
        ]
        .into_iter()
        .chain(["48", "--json", "--out", &out])
        .map(String::from)
        .collect()
    };
    let call = |arguments: Vec<String>| json(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let whole = call(run("whole.jsonl"));
    let text = std::fs::read_to_string(folder.path().join("whole.jsonl")).unwrap();
    // Cut in the middle of a record, as a crash does.
    std::fs::write(folder.path().join("cut.jsonl"), &text[..text.len() * 2 / 5]).unwrap();
    let resumed = call(run("cut.jsonl"));
    assert_eq!(whole["summary"], resumed["summary"]);
    let arms = whole["summary"]["arms"].as_array().unwrap();
    let names: Vec<_> = arms.iter().map(|arm| arm["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["replay off", "learned", "substitute", "base alone"]);
    assert!(arms.iter().all(|arm| arm["prompts"] == 6 && arm["samples"] == 18), "{arms:?}");
    // Six questions, of which this model answers most.
    assert!(arms[0]["greedy"]["mean"].as_f64().unwrap() > 0.5);
    assert_eq!(arms[1]["replay"]["replayed"], 24);

    // Another arm to compare with: nothing is asked again, and the difference of the two is the same with the other sign.
    let mut against = run("whole.jsonl");
    against.extend(["--against".into(), "learned".into()]);
    let change = |summary: &Value, arm: &str| {
        let pairs = summary["summary"]["paired"].as_array().unwrap();
        pairs.iter().find(|pair| pair["arm"] == arm && pair["metric"] == "pass@1").unwrap()["difference"]["mean"]
            .as_f64()
    };
    assert_eq!(change(&call(against.clone()), "replay off").map(|x| -x), change(&whole, "learned"));
    *against.last_mut().unwrap() = "nobody".into();
    let (code, _, message) = replay(&against.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(
        code == 5 && message.contains("expected one of replay off, learned, substitute, base alone, got nobody"),
        "{message}"
    );

    // Another seed is another run: its answers must not be mixed with these.
    let mut other = run("whole.jsonl");
    other.extend(["--seed".into(), "1".into()]);
    let (code, _, message) = replay(&other.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(code == 5 && message.contains("seed"), "{code} {message}");
}

#[test]
fn wrong_lines_are_named_and_the_others_evaluated_if_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    // A header that promises 20000x20000 pixels in a few hundred bytes.
    let mut bomb = std::fs::read(repository().join("examples/images/000.png")).unwrap();
    bomb.truncate(200);
    bomb[16..24].copy_from_slice(&[0, 0, 0x4e, 0x20, 0, 0, 0x4e, 0x20]);
    std::fs::write(folder.path().join("bomb.png"), bomb).unwrap();
    let data = data(folder.path(), |lines| {
        let good = lines.lines().next().unwrap();
        let bad = [
            r#"{"image": "nowhere.png", "prompt": "How many?", "answer": "1"}"#,
            r#"{"image": "000.png", "prompt": "How many?"}"#,
            r#"{"image": "000.png", "prompt": "#,
            r#"{"image": "000.png", "promt": "How many?", "answer": "1"}"#,
        ];
        format!("{good}\n{}\n", bad.join("\n"))
    });
    let learned = shown(&configuration("learned"));
    let out = shown(&folder.path().join("out.jsonl"));
    let arguments =
        ["eval", "--config", &learned, "--data", &data, "--samples", "1", "--max-tokens", "40", "--out", &out];
    let (code, _, message) = replay(&arguments);
    assert_eq!(code, 5, "{message}");
    for (line, what) in [(2, "nowhere.png"), (3, "answer"), (4, ""), (5, "prompt")] {
        assert!(message.contains(&format!("set.jsonl:{line}:")) && message.contains(what), "line {line} in\n{message}");
    }
    let going_on: Vec<&str> = arguments.iter().copied().chain(["--keep-going", "--json"]).collect();
    let summary = json(&going_on);
    assert_eq!(summary["summary"]["arms"][0]["prompts"], 1);

    let bomb = r#"{"image": "bomb.png", "prompt": "How many?", "answer": "1"}"#;
    std::fs::write(folder.path().join("bombs.jsonl"), bomb).unwrap();
    let bombs = shown(&folder.path().join("bombs.jsonl"));
    let (code, _, message) = replay(&["eval", "--config", &learned, "--data", &bombs, "--samples", "1"]);
    assert!(code == 5 && message.contains("bombs.jsonl:1:") && message.contains("bomb.png"), "{code} {message}");
}

#[test]
fn an_analysis_calibrates_thresholds_that_select_what_they_promise() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path(), |lines| lines);
    let config = shown(&configuration("substitute"));
    let page = folder.path().join("page.html");
    let arguments =
        ["analyse", "--config", &config, "--data", &data, "--share", "0.5", "--html", &shown(&page), "--json"];
    let analysis = json(&arguments);
    assert_eq!((&analysis["prompts"], analysis["layers"].as_array().unwrap().len()), (&6.into(), 6));
    for layer in analysis["layers"].as_array().unwrap() {
        assert_eq!(layer["rows"], 96);
        let buckets = layer["kl_by_quantile"].as_array().unwrap();
        assert!(buckets.len() == 5 && buckets.iter().all(|kl| kl.as_f64().unwrap() >= 0.0));
        let shares: Vec<f64> = layer["selected"].as_array().unwrap().iter().map(|s| s.as_f64().unwrap()).collect();
        assert!(shares.is_sorted(), "{shares:?}");
    }
    assert!(std::fs::read_to_string(page).unwrap().contains("application/json"));

    // Put into a configuration, the thresholds select half of the rows of these prompts.
    let below: Vec<f64> =
        analysis["layers"].as_array().unwrap().iter().map(|layer| layer["threshold"].as_f64().unwrap()).collect();
    let text = std::fs::read_to_string(configuration("substitute")).unwrap();
    let text = text
        .replace("fraction_of_max = 0.92", &format!("below = {below:?}"))
        .replace("../models", &shown(&repository().join("examples/models")));
    let calibrated = folder.path().join("calibrated.toml");
    std::fs::write(&calibrated, text).unwrap();
    let mut selected = 0;
    for index in 0..6 {
        let image = shown(&folder.path().join(format!("{index:03}.png")));
        let answer = json(&[
            "run",
            "--config",
            &shown(&calibrated),
            "--image",
            &image,
            "--prompt",
            "How many red shapes?",
            "--max-tokens",
            "1",
            "--json",
        ]);
        let layers = answer["replay"]["layers"].as_array().unwrap();
        selected += layers.iter().map(|layer| layer["selected"].as_u64().unwrap()).sum::<u64>();
    }
    assert_eq!(selected, 6 * 48);
}

#[test]
fn an_inspection_is_one_file_with_everything_escaped() {
    let folder = tempfile::tempdir().unwrap();
    let (page, config) = (folder.path().join("page.html"), shown(&configuration("learned")));
    let image = shown(&repository().join("examples/images/000.png"));
    let hostile = "How many red shapes?</script><script>alert(1)</script>";
    let arguments = [
        "inspect",
        "--config",
        &config,
        "--image",
        &image,
        "--image",
        &image,
        "--prompt",
        hostile,
        "--out",
        &shown(&page),
    ];
    let (code, _, log) = replay(&arguments);
    assert_eq!(code, 0, "{log}");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(!page.contains("<script>alert(1)"));
    // Nothing is fetched: no address in it but those of XML namespaces.
    let addresses = page.match_indices("http").filter(|(at, _)| !page[*at..].starts_with("http://www.w3.org/"));
    assert!(
        addresses.clone().all(|(at, _)| page[at..].starts_with("http-equiv")),
        "{:?}",
        addresses.collect::<Vec<_>>()
    );
    let data = page.split_once("id=\"data\">").unwrap().1.split_once("</script>").unwrap().0;
    let data: Value = serde_json::from_str(data).unwrap();
    assert_eq!(data["prompt"]["text"], hostile);
    assert_eq!(data["images"].as_array().unwrap().len(), 2);
    for layer in data["layers"].as_array().unwrap() {
        assert!(
            ["entropy", "selected", "kl_before", "kl_after"]
                .iter()
                .all(|key| layer[key].as_array().unwrap().len() == 32)
        );
    }
    assert!(data["learned"]["delta_norms"].as_array().unwrap().len() == 32);
}

#[test]
fn a_bench_measures_three_ways_in_turn() {
    let config = shown(&configuration("learned"));
    let image = shown(&repository().join("examples/images/000.png"));
    let bench =
        json(&["bench", "--config", &config, "--image", &image, "--prompt", "How many?", "--rounds", "2", "--json"]);
    let ways: Vec<_> = bench["ways"].as_array().unwrap().iter().map(|way| way["name"].as_str().unwrap()).collect();
    assert_eq!(ways, ["off", "on", "on, cached"]);
    assert!(bench["milliseconds"]["learn"].as_f64().unwrap() > 0.0 && bench["limit"].as_f64().unwrap() > 1.0);
}
