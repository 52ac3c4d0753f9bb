//! What there is to recover, and when to recover it: `replay sweep`, the calibrated gate, and the pair on which replay helps.
use crate::common::repository;
use crate::evidence::{configuration, data, json, replay, shown};
use serde_json::Value;

#[test]
fn a_sweep_finds_what_there_is_to_recover_and_goes_on_where_it_was_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path(), |lines| lines);
    let config = shown(&configuration("substitute"));
    let (out, page) = (shown(&folder.path().join("out.jsonl")), shown(&folder.path().join("page.html")));
    let arguments = [
        "sweep",
        "--config",
        &config,
        "--data",
        &data,
        "--samples",
        "2",
        "--max-tokens",
        "48",
        "--residuals",
        "7,0,3,0",
    ];
    let whole: Vec<&str> = arguments.iter().copied().chain(["--json", "--html", &page, "--out", &out]).collect();
    let first = json(&whole);
    let sweep = &first["sweep"];
    let residuals: Vec<_> =
        sweep["residuals"].as_array().unwrap().iter().map(|effect| effect["residual"].clone()).collect();
    assert_eq!(
        (residuals, &sweep["prompts"], &sweep["outcome"]),
        (vec![0.into(), 3.into(), 7.into()], &6.into(), &"right".into())
    );
    assert!(sweep["ceiling"]["like_base"]["mean"].is_number() && sweep["configured"]["arm"] == "substitute.toml");
    assert!(std::fs::read_to_string(&page).unwrap().contains("one residual"));
    let text = std::fs::read_to_string(&out).unwrap();
    std::fs::write(&out, &text[..text.len() * 3 / 5]).unwrap();
    assert_eq!(json(&whole)["sweep"], *sweep);
    let (code, table, _) = replay(
        &arguments[..arguments.len() - 2]
            .iter()
            .copied()
            .chain(["--residuals", "0,3,7", "--out", &out])
            .collect::<Vec<_>>(),
    );
    assert!(code == 0 && table.contains("ceiling: ") && table.contains("reached: "), "{table}");
}

#[test]
fn a_sweep_needs_no_right_answers_but_all_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let without = |line: &str| {
        let mut object: Value = serde_json::from_str(line).unwrap();
        object.as_object_mut().unwrap().remove("answer");
        object.to_string()
    };
    let data = data(folder.path(), |lines| lines.lines().take(3).map(|line| without(line) + "\n").collect());
    let config = shown(&configuration("substitute"));
    let out = shown(&folder.path().join("out.jsonl"));
    let arguments = |data: &str, residual: &str| -> Vec<String> {
        ["sweep", "--config", &config, "--data", data, "--samples", "1", "--max-tokens", "48", "--json", "--out", &out]
            .into_iter()
            .chain(["--residuals", residual])
            .map(String::from)
            .collect()
    };
    let call = |arguments: &[String]| replay(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let (code, text, log) = call(&arguments(&data, "2"));
    assert_eq!(code, 0, "{log}");
    let sweep = &serde_json::from_str::<Value>(&text).unwrap()["sweep"];
    assert_eq!((&sweep["outcome"], &sweep["base"]["mean"]), (&"like_base".into(), &1.0.into()));

    let (code, _, message) = call(&arguments(&data, "8"));
    assert!(code == 5 && message.contains("from 0 to 7") && message.contains("got 8"), "{code} {message}");
    let some = shown(&folder.path().join("some.jsonl"));
    let both = std::fs::read_to_string(&data).unwrap()
        + "{\"image\": \"000.png\", \"prompt\": \"How many?\", \"answer\": 1}\n";
    std::fs::write(&some, both).unwrap();
    let (code, _, message) = call(&arguments(&some, "2"));
    assert!(code == 5 && message.contains("line 1") && message.contains("or none"), "{code} {message}");
}

/// The analysis of two data sets proposes a gate, and the gate then does what was proposed: in the answers, their reports and the exit code.
#[test]
fn a_calibrated_gate_keeps_out_what_it_was_shown() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path(), |lines| lines);
    let lines: Vec<String> = std::fs::read_to_string(&data).unwrap().lines().map(String::from).collect();
    let others = folder.path().join("others.jsonl");
    std::fs::write(&others, lines[..2].join("\n")).unwrap();
    std::fs::write(&data, lines[2..].join("\n")).unwrap();
    let config = configuration("substitute");
    let arguments = ["analyse", "--config", &shown(&config), "--data", &data, "--json"].map(String::from);
    let call = |arguments: &[String]| json(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let alone = call(&arguments);
    assert!(alone["gate"].as_array().unwrap().len() == 6 && alone["gate"][0]["drift_below"].is_null());
    let both = call(&[&arguments[..], &["--against".into(), shown(&others)]].concat());
    // A second set without an image could calibrate nothing.
    let text = folder.path().join("text.jsonl");
    std::fs::write(&text, "{\"prompt\": \"1 + 1\"}").unwrap();
    let (code, _, message) =
        replay(&["analyse", "--config", &shown(&config), "--data", &data, "--against", &shown(&text)]);
    assert!(code == 5 && message.contains("--against: no prompt has a row"), "{code} {message}");
    let at = &both["gate"][2];
    assert_eq!((&at["residual"], at["wanted"] == alone["gate"][2]["wanted"]), (&3.into(), true));

    // The threshold between the two: prompts are replayed or not as the shares say.
    let threshold = at["drift_below"].as_f64().unwrap();
    let gated = folder.path().join("gated.toml");
    let text =
        std::fs::read_to_string(&config).unwrap().replace("../models", &shown(&repository().join("examples/models")));
    std::fs::write(&gated, format!("{text}\n[replay.gate]\nresidual = 3\ndrift_below = {threshold}\n")).unwrap();
    let replayed = |line: &String| {
        let line: Value = serde_json::from_str(line).unwrap();
        let image = shown(&folder.path().join(line["image"].as_str().unwrap()));
        let prompt = line["prompt"].as_str().unwrap();
        let answer = json(&["run", "--config", &shown(&gated), "--image", &image, "--prompt", prompt, "--json"]);
        let gate = &answer["replay"]["gate"];
        let open = gate["open"].as_bool().unwrap();
        assert_eq!(gate["drift"].as_f64().unwrap() < threshold, open);
        assert_eq!(answer["replay"]["status"], if open { "replayed" } else { "passthrough" });
        assert_eq!(answer["replay"]["reason"].as_str().is_some_and(|why| why.contains("the gate is closed")), !open);
        open
    };
    // A closed gate is measured like an open one.
    for drift_below in [1e-9, 1e9] {
        std::fs::write(
            folder.path().join("bench.toml"),
            format!("{text}\n[replay.gate]\ndrift_below = {drift_below}\n"),
        )
        .unwrap();
        let (config, image) = (shown(&folder.path().join("bench.toml")), shown(&folder.path().join("000.png")));
        let arguments =
            ["bench", "--config", &config, "--image", &image, "--prompt", "How many?", "--rounds", "1", "--json"];
        assert!(json(&arguments)["milliseconds"]["gate"].as_f64().unwrap() > 0.0);
    }
    let share = |lines: &[String]| lines.iter().filter(|line| replayed(line)).count() as f64 / lines.len() as f64;
    assert!((share(&lines[2..]) - at["replayed"].as_f64().unwrap()).abs() < 1e-9);
    assert!((1.0 - share(&lines[..2]) - at["kept_out"].as_f64().unwrap()).abs() < 1e-9);
}

/// The pair that ships with the quickstart: outside what RL was trained on replay turns wrong answers right, and inside the gate stays closed.
#[test]
fn on_the_narrow_pair_replay_helps_outside_and_is_kept_out_inside() {
    let folder = tempfile::tempdir().unwrap();
    let config = shown(&configuration("quickstart"));
    let images = repository().join("examples/images/narrow");
    let evaluated = |name: &str, lines: std::ops::Range<usize>| {
        let questions = std::fs::read_to_string(images.join("questions.jsonl")).unwrap();
        let here = questions.replace("\"image\": \"", &format!("\"image\": \"{}/", shown(&images)));
        let part: Vec<&str> = here.lines().skip(lines.start).take(lines.len()).collect();
        let data = folder.path().join(format!("{name}.jsonl"));
        std::fs::write(&data, part.join("\n")).unwrap();
        let arguments =
            ["eval", "--config", &config, "--data", &shown(&data), "--samples", "1", "--max-tokens", "48", "--json"];
        json(&arguments)["summary"]["arms"].as_array().unwrap().clone()
    };
    let greedy = |arm: &Value| arm["greedy"]["mean"].as_f64().unwrap();
    let outside = evaluated("outside", 0..12);
    assert!(greedy(&outside[1]) >= greedy(&outside[0]) + 0.25, "{outside:?}");
    assert_eq!(outside[1]["replay"]["replayed"], 24);
    let inside = evaluated("inside", 12..16);
    assert_eq!((greedy(&inside[0]), greedy(&inside[1])), (1.0, 1.0));
    assert_eq!((&inside[1]["replay"]["passthrough"], &inside[1]["replay"]["replayed"]), (&8.into(), &0.into()));
}
