//! Another engine, as examples/custom_adapter links it into the `replay` program: every command, page and route works with `adapter = "toy"`.
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::common::repository;
use crate::existing::{Running, example, said};
use crate::server::picture;

const CONFIG: &str = "examples/configs/toy.toml";
const IMAGE: &str = "examples/images/000.png";

fn toy(arguments: &[&str]) -> Command {
    let mut command = example("custom_adapter");
    command.args(arguments);
    command
}

fn asked(command: &str, more: &[&str]) -> String {
    let prompt = [command, "--config", CONFIG, "--image", IMAGE, "--prompt", "What is it?"];
    said(&mut toy(&[&prompt[..], more].concat()))
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[test]
fn the_adapter_conforms_and_is_found_by_its_name() {
    let checked = said(&mut toy(&[]));
    assert!(checked.starts_with("adapter mistralrs for mistral.rs 0.8.1\nadapter toy for a toy\n"), "{checked}");
    assert!(checked.contains("passed") && !checked.contains("FAILED"), "{checked}");
    assert!(said(&mut toy(&["check", "--config", CONFIG])).contains("the models are a pair"));
    assert!(said(&mut toy(&["adapters"])).contains("| toy "));
}

#[test]
fn a_prompt_is_run_traced_inspected_and_measured() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name).display().to_string();
    let on = parsed(&asked("run", &["--json", "--max-tokens", "8"]));
    assert_eq!((&on["replay"]["status"], &on["replay"]["layers"][0]["selected"]), (&json!("replayed"), &json!(2)));
    let off = parsed(&asked("run", &["--json", "--max-tokens", "8", "--off"]));
    assert!(off["replay"]["status"] == "passthrough" && off["text"] != on["text"], "{off}");

    asked("trace", &["--out", &out("toy.safetensors")]);
    let trace = crate::common::tensors(Path::new(&out("toy.safetensors")));
    assert_eq!(trace["mask"].dims()[0], 3);
    assert!(trace.contains_key("logprobs.replayed") && trace.contains_key("residual.base.3"));

    asked("inspect", &["--out", &out("toy.html"), "--max-tokens", "4"]);
    assert!(std::fs::read_to_string(out("toy.html")).unwrap().contains("entropy"));

    let bench = parsed(&asked("bench", &["--rounds", "2", "--max-tokens", "4", "--json"]));
    assert_eq!((&bench["ways"][1]["name"], &bench["visual_rows"]), (&json!("on"), &json!(4)));
}

#[test]
fn a_data_set_is_evaluated_and_analysed() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("toy.jsonl").display().to_string();
    let data = "examples/images/questions.jsonl";
    let arguments =
        ["eval", "--config", CONFIG, "--data", data, "--samples", "2", "--max-tokens", "6", "--base", "--json"];
    let run = || parsed(&said(&mut toy(&[&arguments[..], &["--out", &out]].concat())));
    let first = run();
    let arms: Vec<_> = first["summary"]["arms"].as_array().unwrap().iter().map(|arm| arm["name"].clone()).collect();
    assert_eq!(arms, [json!("replay off"), json!("toy"), json!("base alone")]);
    // From the records: nothing is asked again.
    assert_eq!(run()["summary"], first["summary"]);
    let out = folder.path().join("swept.jsonl").display().to_string();
    let swept = parsed(&said(&mut toy(&[
        "sweep",
        "--config",
        CONFIG,
        "--data",
        data,
        "--samples",
        "2",
        "--max-tokens",
        "6",
        "--json",
        "--out",
        &out,
    ])));
    assert_eq!(swept["sweep"]["residuals"].as_array().map(Vec::len), Some(4));
    let analysed = parsed(&said(&mut toy(&["analyse", "--config", CONFIG, "--data", data, "--json"])));
    assert_eq!(analysed["layers"].as_array().map(Vec::len), Some(3));
}

#[test]
fn it_is_served_with_replay_for_each_request() {
    let running = Running::start(&mut toy(&["serve", "--config", CONFIG, "--port", "0"]));
    assert!(
        running.said.iter().any(|line| line == "toy-rl: replay on (substitute); profiles: gentle"),
        "{:?}",
        running.said
    );
    let chat = |more: Value| {
        let mut body = json!({ "max_tokens": 5, "temperature": 0, "logprobs": true, "top_logprobs": 2,
        "messages": [{ "role": "user", "content": [
            { "type": "text", "text": "What is it?" },
            { "type": "image_url", "image_url": { "url": picture(IMAGE) } },
        ]}]});
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        running.post("/v1/chat/completions", &body)
    };
    let (status, on) = chat(json!({}));
    assert_eq!((status, &on["replay"]["status"], &on["model"]), (200, &json!("replayed"), &json!("toy-rl")), "{on}");
    assert_eq!(on["choices"][0]["logprobs"]["content"][4]["top_logprobs"].as_array().map(Vec::len), Some(2));
    assert_eq!(chat(json!({ "replay": false })).1["replay"]["status"], "passthrough");
    assert_ne!(chat(json!({ "replay": "gentle" })).1["replay"]["fingerprint"], on["replay"]["fingerprint"]);
    assert_eq!(chat(json!({ "replay": "rough" })).1["error"]["code"], "unknown_profile");
    let refused = chat(json!({ "tools": [{ "type": "function", "function": { "name": "f" } }] }));
    assert_eq!((refused.0, &refused.1["error"]["code"]), (400, &json!("unsupported_parameter")));
    // Its engine has no routes of its own.
    assert_eq!(running.post("/v1/embeddings", &json!({ "input": "x" })).1["error"]["code"], "not_found");
    let models = parsed(&running.get("/v1/models"));
    assert_eq!((&models["data"][1]["id"], running.get("/health").as_str()), (&json!("toy-rl"), "OK"));
    let (status, streamed) = chat(json!({ "stream": true, "n": 2, "stream_options": { "include_usage": true } }));
    let Value::String(text) = streamed else { panic!("{streamed}") };
    let pieces: Vec<Value> =
        text.lines().filter_map(|line| line.strip_prefix("data: {")).map(|rest| parsed(&format!("{{{rest}"))).collect();
    assert_eq!((status, pieces.len()), (200, 11), "{text}");
    assert_eq!(pieces[0]["replay"]["status"], "replayed");
    assert_eq!(pieces[9]["usage"], Value::Null);
    assert_eq!((&pieces[10]["usage"]["completion_tokens"], &pieces[10]["choices"]), (&json!(10), &json!([])));
    let metrics = running.get("/metrics");
    assert!(metrics.contains("replay_requests_total{outcome=\"replayed\"}"), "{metrics}");
}

#[test]
fn a_program_without_the_adapter_says_which_it_has() {
    let mut replay = Command::new(env!("CARGO_BIN_EXE_replay"));
    let output = replay.current_dir(repository()).args(["check", "--config", CONFIG]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("expected an adapter of this program: mistralrs, found string \"toy\""), "{text}");
}
