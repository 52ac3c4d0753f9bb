//! Existing deployments, as the examples show them: each is run, with replay off and on by an environment variable.
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::common::repository;
use crate::server::picture;
use serde_json::{Value, json};

/// An example, as `cargo test` has built it, or built now (through the seam's tool, which takes away what cargo sets for a test).
pub(crate) fn example(name: &str) -> Command {
    let built = PathBuf::from(env!("CARGO_BIN_EXE_replay")).with_file_name("examples").join(name);
    let build = ["build", "--quiet", "--example", name];
    let mut seam = Command::new(env!("CARGO"));
    seam.args(["run", "--quiet", "--manifest-path", "replay-mistralrs/seam/Cargo.toml", "--"]).args(build);
    assert!(seam.current_dir(repository()).status().unwrap().success(), "{name} does not build");
    let mut command = Command::new(built);
    command.current_dir(repository()).env_remove("ACTIVATION_REPLAY_CONFIG");
    command
}

pub(crate) fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_deployment_on_the_builders_turns_replay_on_by_a_variable() {
    let with = |file: &str| said(example("existing_builder").env("ACTIVATION_REPLAY_CONFIG", file));
    let off = said(&mut example("existing_builder"));
    assert!(off.contains("boxed") && off == with(""), "{off}");
    let on = with("examples/configs/substitute.toml");
    assert!(on.contains("boxed") && on != off, "replay changes the log-probabilities: {on}");
    // The engine's own file with our tables in it is about the same pair.
    assert!(with("examples/configs/engine.toml").contains("boxed"));
    let broken = example("existing_builder").env("ACTIVATION_REPLAY_CONFIG", "nowhere.toml").output().unwrap();
    assert!(!broken.status.success() && String::from_utf8_lossy(&broken.stderr).contains("nowhere.toml"));
}

/// The sum of an answer's log-probabilities.
fn asked(running: &Running, model: &str, tag: &str) -> f64 {
    let body = json!({ "model": model, "temperature": 0, "max_tokens": 40, "logprobs": true, "top_logprobs": 1,
    "messages": [{ "role": "user", "content": [
        { "type": "image_url", "image_url": { "url": picture("examples/images/000.png") } },
        { "type": "text", "text": format!("{tag}How many red shapes?") },
    ]}]});
    let answer = running.post("/v1/chat/completions", &body).1;
    let tokens = answer["choices"][0]["logprobs"]["content"].as_array().unwrap_or_else(|| panic!("{answer}")).clone();
    tokens.iter().filter_map(|token| token["logprob"].as_f64()).sum::<f64>()
}

#[test]
fn a_server_of_somebodys_own_turns_replay_on_by_a_variable_also_after_a_model_was_unloaded() {
    let server = |file: &str| {
        Running::start(example("existing_server").env("ACTIVATION_REPLAY_CONFIG", file).arg("127.0.0.1:0"))
    };
    let off = asked(&server(""), "default", "");
    let running = server("examples/configs/substitute.toml");
    let on = asked(&running, "default", "");
    assert!(off.is_finite() && on.is_finite() && off != on, "{off} {on}");
    let models: Value = serde_json::from_str(&running.get("/v1/models")).unwrap();
    let mut ids = models["data"].as_array().unwrap().iter().filter_map(|model| model["id"].as_str());
    let id = ids.rfind(|id| *id != "default").expect("a model");
    let model = json!({ "model_id": id });
    for change in ["unload", "reload"] {
        let (status, said) = running.post(&format!("/v1/models/{change}"), &model);
        assert_eq!(status, 200, "{change}: {said}");
    }
    // The engine has no default model any more once that was unloaded, and its server looks up there how an image is written.
    assert_eq!(
        asked(&running, id, "<|vision_start|><|image_pad|><|vision_end|>"),
        on,
        "a reloaded model is replayed again"
    );
}

/// A server in a process of its own; ended with the test.
pub(crate) struct Running {
    child: Child,
    pub(crate) address: String,
    /// What it said before it listened.
    pub(crate) said: Vec<String>,
    /// The API key that its requests carry.
    pub(crate) key: String,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = Vec::new();
        for line in lines.map_while(Result::ok) {
            if let Some(address) = line.strip_prefix("listening on ") {
                return Self { child, address: address.to_owned(), said, key: String::new() };
            }
            said.push(line);
        }
        panic!("{:?}: {said:?}", child.wait());
    }

    /// Its exit status, if it ends in time.
    pub(crate) fn ended(&mut self, within: std::time::Duration) -> Option<i32> {
        let end = std::time::Instant::now() + within;
        while std::time::Instant::now() < end {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        None
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn get(&self, path: &str) -> String {
        let url = format!("{}{path}", self.address);
        crate::common::runtime().block_on(async { reqwest::get(url).await.unwrap().text().await.unwrap() })
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        crate::common::runtime().block_on(async {
            let request = reqwest::Client::new().post(format!("{}{path}", self.address));
            let request = request.header("content-type", "application/json").bearer_auth(&self.key);
            let response = request.body(body.to_string()).send().await.unwrap();
            let status = response.status().as_u16();
            let text = response.text().await.unwrap();
            (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
