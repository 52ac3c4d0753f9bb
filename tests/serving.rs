//! `replay serve` through the real binary: names of models, the engine's own file, and files read again.
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::common::repository;
use crate::existing::Running;
use crate::server::picture;
use serde_json::{Value, json};

fn serve(configs: &[String]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_replay"));
    command.current_dir(repository()).args(["serve", "--port", "0"]);
    configs.iter().for_each(|config| {
        command.arg("--config").arg(config);
    });
    command
}

fn refused(configs: &[String]) -> (Option<i32>, String) {
    let output = serve(configs).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn ask(running: &Running, model: &str, replay: Value) -> (u16, Value) {
    let body = json!({ "model": model, "temperature": 0, "max_tokens": 8, "replay": replay,
    "messages": [{ "role": "user", "content": [
        { "type": "image_url", "image_url": { "url": picture("examples/images/000.png") } },
        { "type": "text", "text": "How many red shapes?" },
    ]}]});
    running.post("/v1/chat/completions", &body)
}

/// A copy of a file that can be changed, with its directories made absolute.
fn copied(folder: &Path, name: &str, change: impl FnOnce(String) -> String) -> String {
    let root = repository();
    let text = std::fs::read_to_string(root.join("examples/configs").join(name)).unwrap();
    let models = format!("{}/examples/models", root.display());
    let text = text.replace("\"../models", &format!("\"{models}")).replace("\"examples/models", &format!("\"{models}"));
    let file = folder.join(name);
    std::fs::write(&file, change(text)).unwrap();
    file.display().to_string()
}

#[test]
fn models_of_one_name_are_told_apart_by_another() {
    let configs = ["examples/configs/substitute.toml".to_owned(), "examples/configs/learned.toml".to_owned()];
    let (code, why) = refused(&configs);
    assert!(code == Some(5) && why.contains("would both be called rlvr") && why.contains("--config NAME="), "{why}");
    let running = Running::start(&mut serve(&[configs[0].clone(), format!("learner={}", configs[1])]));
    assert_eq!(running.said, ["learner: replay on (learned)", "rlvr: replay on (substitute)"]);
    for (model, strategy) in [("rlvr", "substitute"), ("learner", "learned"), ("default", "substitute")] {
        let (status, answer) = ask(&running, model, json!(true));
        assert_eq!((status, &answer["replay"]["strategy"]), (200, &json!(strategy)), "{answer}");
    }
}

#[test]
fn the_engines_own_file_is_served_with_replay_on_the_model_that_it_names() {
    let running = Running::start(&mut serve(&["examples/configs/engine.toml".into()]));
    let (counting, seeing) = ("examples/models/counting/rlvr", "examples/models/seeing/rlvr");
    assert_eq!(
        running.said,
        [format!("{counting}: replay on (learned); profiles: swap"), format!("{seeing}: without replay")]
    );
    let (status, answer) = ask(&running, counting, Value::Null);
    assert_eq!(
        (status, &answer["replay"]["strategy"], &answer["model"]),
        (200, &json!("learned"), &json!(counting)),
        "{answer}"
    );
    let (_, answer) = ask(&running, counting, json!("swap"));
    assert_eq!(answer["replay"]["strategy"], "substitute", "{answer}");
    let (status, answer) = ask(&running, seeing, Value::Null);
    assert!(status == 200 && answer.get("replay").is_none(), "{answer}");
    assert_eq!(ask(&running, seeing, json!(true)).1["error"]["code"], "replay_unavailable");
}

#[test]
fn a_route_that_reloads_is_there_if_it_was_asked_for_and_behind_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = copied(folder.path(), "substitute.toml", |text| text);
    let mut command = serve(std::slice::from_ref(&file));
    assert_eq!(Running::start(&mut command).post("/v1/replay/reload", &json!({})).1["error"]["code"], "not_found");
    let keyless = command.arg("--reload-route").output().unwrap();
    assert!(!keyless.status.success() && String::from_utf8_lossy(&keyless.stderr).contains("--api-key-env"));
    let mut running = Running::start(command.args(["--api-key-env", "TEST_KEY"]).env("TEST_KEY", "sesame"));
    let reload = |running: &Running| running.post("/v1/replay/reload", &json!({}));
    assert_eq!(reload(&running).1["error"]["code"], "invalid_api_key");
    running.key = "sesame".into();
    assert_eq!(reload(&running), (200, json!({ "status": "reloaded" })));
    let strategy = |running: &Running| ask(running, "rlvr", Value::Null).1["replay"]["layers"].as_array().map(Vec::len);
    let before = strategy(&running);
    let text = std::fs::read_to_string(&file).unwrap();
    let line = text.lines().find(|line| line.starts_with("layers")).unwrap();
    std::fs::write(&file, text.replace(line, "layers = \"all\"")).unwrap();
    let (status, refusal) = reload(&running);
    let why = refusal["error"]["message"].as_str().unwrap();
    assert_eq!((status, &refusal["error"]["code"]), (400, &json!("configuration_refused")));
    assert!(why.contains("replay.layers: expected") && !why.contains(folder.path().to_str().unwrap()), "{why}");
    assert_eq!(strategy(&running), before);
    std::fs::write(&file, text.replace(line, "layers = 2")).unwrap();
    assert_eq!(reload(&running).0, 200);
    assert_eq!((before, strategy(&running)), (Some(6), Some(2)));
}

#[test]
fn logs_at_level_info_hold_no_prompt_and_no_image() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut command = serve(&["examples/configs/learned.toml".into()]);
    let running = Running::start(command.env("RUST_LOG", "info").stderr(std::fs::File::create(&log).unwrap()));
    let image = picture("examples/images/000.png");
    let secret = "xylophone-4711";
    let ask = |more: Value| {
        let mut body = json!({ "model": "rlvr", "max_tokens": 4, "messages": [{ "role": "user", "content": [
            { "type": "image_url", "image_url": { "url": image } }, { "type": "text", "text": secret },
        ]}]});
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        running.post("/v1/chat/completions", &body).0
    };
    assert_eq!(ask(json!({})), 200);
    // Refused by the door, by the engine, and by the engine's reader, which quotes what it was given.
    assert_eq!(ask(json!({ "temperature": -1 })), 400);
    assert_eq!(ask(json!({ "grammar": { "type": "regex", "value": format!("{secret}((") } })), 400);
    assert_eq!(
        ask(json!({ "messages": [{ "role": "user", "content": format!("{secret} <|image_pad|>") }], "tools": 5 })),
        400
    );
    let mut broken = image.clone();
    broken.truncate(image.len() / 2);
    broken.truncate(broken.len() / 4 * 4 + 2);
    assert_eq!(
        ask(json!({ "messages": [{ "role": "user", "content": [
            { "type": "image_url", "image_url": { "url": broken } }, { "type": "text", "text": secret },
        ]}]})),
        400
    );
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("INFO"), "{log}");
    let piece = &image[image.len() / 2..image.len() / 2 + 24];
    assert!(!log.contains(secret) && !log.contains(piece) && !log.contains("base64"), "{log}");
}

#[test]
fn an_engines_file_that_cannot_be_served_says_why() {
    let folder = tempfile::tempdir().unwrap();
    for (from, to, wanted) in [
        ("rank]\nfraction_of_max", "rank]\nfraction_of_maks", "did you mean `fraction_of_max`"),
        ("counting/rlvr\"\nbase", "counting/base\"\nbase", "the `model_id` of one of the engine's [[models]]"),
        ("kind = \"multimodal\"", "kind = \"musical\"", "the engine's part of the file"),
        ("dtype = \"f32\"", "dtype = \"f31\"", "f31"),
        ("command = \"serve\"", "command = \"run\"", "expected command = \"serve\""),
        ("[replay]\nstrategy = \"learned\"\n", "[replay]\n", "`preset`"),
    ] {
        let file = copied(folder.path(), "engine.toml", |text| {
            assert!(text.contains(from), "{from}");
            text.replacen(from, to, 1)
        });
        let (code, why) = refused(&[file]);
        assert!(code == Some(2) && why.contains(wanted), "{from}: {code:?} {why}");
    }
    let both = ["examples/configs/engine.toml".to_owned(), "examples/configs/substitute.toml".to_owned()];
    assert!(refused(&both).1.contains("give it alone"));
}

#[cfg(unix)]
#[test]
fn a_signal_to_stop_ends_the_server_beside_clients_that_never_finish() {
    use std::io::Write;
    let heads: [&[u8]; 3] =
        [b"", b"POST /v1/cha", b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"];
    let mut running = Running::start(&mut serve(&["examples/configs/substitute.toml".into()]));
    let open: Vec<std::net::TcpStream> = heads
        .iter()
        .map(|head| {
            let mut wire = std::net::TcpStream::connect(running.address.trim_start_matches("http://")).unwrap();
            wire.write_all(head).unwrap();
            wire
        })
        .collect();
    assert_eq!(ask(&running, "rlvr", Value::Null).0, 200);
    assert!(Command::new("kill").arg(running.id().to_string()).status().unwrap().success());
    let started = Instant::now();
    // The body that does not come is waited for 15 s.
    assert_eq!(running.ended(Duration::from_secs(40)), Some(0));
    assert!(started.elapsed() > Duration::from_secs(1) && open.len() == 3);
}

#[cfg(unix)]
#[test]
fn a_hang_up_signal_exchanges_the_settings_of_an_engines_file_and_a_broken_one_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = copied(folder.path(), "engine.toml", |text| text);
    let running = Running::start(&mut serve(std::slice::from_ref(&file)));
    let model = format!("{}/examples/models/counting/rlvr", repository().display());
    let strategy = || ask(&running, &model, Value::Null).1["replay"]["strategy"].as_str().map(str::to_owned);
    let hang_up =
        || assert!(Command::new("kill").args(["-HUP", &running.id().to_string()]).status().unwrap().success());
    assert_eq!(strategy().as_deref(), Some("learned"));
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("layers = 6", "layers = \"all\"")).unwrap();
    hang_up();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(strategy().as_deref(), Some("learned"));
    let (before, rest) = text.split_once("[replay.learned]").unwrap();
    let (_, after) = rest.split_once("[profiles").unwrap();
    let substitute = before.replace("strategy = \"learned\"", "strategy = \"substitute\"");
    std::fs::write(&file, format!("{substitute}[profiles{after}")).unwrap();
    hang_up();
    let end = Instant::now() + Duration::from_secs(20);
    while strategy().as_deref() != Some("substitute") {
        assert!(Instant::now() < end, "the file was not read again");
    }
}
