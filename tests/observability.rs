//! What an operator sees: metrics by the names that the dashboard asks for, and a span for each step.
use std::collections::BTreeSet;
use std::fmt;
use std::process::Command;
use std::sync::{Arc, Mutex};

use crate::common::repository;
use crate::existing::Running;
use crate::server::{picture, request};
use replay_core::Replayer;
use replay_core::config::{Layers, Replay, Rule, Strategy};
use replay_core::conformance::mock::MockMaker;
use replay_core::conformance::{Maker, Plan, Step};
use serde_json::{Value, json};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Every expression of a Grafana dashboard, at any depth.
fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(text) if key == "expr" => found.push(text.clone()),
                    value => expressions(value, found),
                }
            }
        }
        _ => {}
    }
}

/// Names of metrics in a text: words that begin with `replay_`.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("replay_")).map(str::to_owned).collect()
}

#[test]
fn every_name_on_the_dashboard_is_exposed_and_every_exposed_name_is_on_it() {
    // In a process of its own: what is recorded is one per process.
    let mut command = Command::new(env!("CARGO_BIN_EXE_replay"));
    command.current_dir(repository()).args(["serve", "--port", "0", "--config", "examples/configs/engine.toml"]);
    let running = Running::start(&mut command);
    for replay in [json!(true), json!(true), json!("swap"), json!(false)] {
        let body = request(
            &picture("examples/images/000.png"),
            json!({ "replay": replay, "model": "examples/models/counting/rlvr" }),
        );
        assert_eq!(running.post("/v1/chat/completions", &body).0, 200);
    }
    let metrics = running.get("/metrics");
    let exposed: BTreeSet<String> = metrics
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(|line| names(line.split(' ').next().unwrap_or("")))
        .collect();

    let file = repository().join("examples/grafana/activation-replay.json");
    let dashboard: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let mut found = Vec::new();
    expressions(&dashboard, &mut found);
    assert!(found.len() >= 8, "{found:?}");
    let asked: BTreeSet<String> = found.iter().flat_map(|expression| names(expression)).collect();
    let unknown: Vec<_> = asked.difference(&exposed).collect();
    assert!(unknown.is_empty(), "the dashboard asks for {unknown:?}, and there are {exposed:?}");
    let family = |name: &String| {
        ["_bucket", "_sum", "_count"].iter().fold(name.clone(), |name, end| name.trim_end_matches(end).to_owned())
    };
    let shown: BTreeSet<String> = asked.iter().map(family).collect();
    let hidden: Vec<String> = exposed.iter().map(family).filter(|name| !shown.contains(name)).collect();
    assert!(hidden.is_empty(), "not on the dashboard: {hidden:?}");

    // A rate needs a first value: every label is there before anything happens.
    for label in ["outcome=\"failed\"", "outcome=\"replayed\"", "reason=\"engine\"", "reason=\"cancelled\""] {
        assert!(metrics.contains(label), "{label}\n{metrics}");
    }
    let value = |name: &str| -> f64 {
        let line = metrics.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert!(value("replay_base_bytes") > 1e5 && value("replay_cache_bytes") > 0.0, "{metrics}");
    assert!(value("replay_cache_hits_total") >= 1.0 && value("replay_rows_selected_total") >= 1.0);
}

/// Remembers the names of spans, and the path of names each was opened in.
#[derive(Default)]
struct Spans {
    names: Mutex<Vec<String>>,
    entered: Mutex<Vec<u64>>,
    opened: Arc<Mutex<BTreeSet<String>>>,
}

struct RoleOf(String);

impl Visit for RoleOf {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "role" {
            self.0 = format!("({value:?})");
        }
    }
}

impl Subscriber for Spans {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span()
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut role = RoleOf(String::new());
        span.record(&mut role);
        let mut names = self.names.lock().unwrap();
        let around = self.entered.lock().unwrap().last().map(|id| names[*id as usize - 1].clone() + "/");
        let name = around.unwrap_or_default() + span.metadata().name() + &role.0;
        self.opened.lock().unwrap().insert(name.clone());
        names.push(name);
        Id::from_u64(names.len() as u64)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, span: &Id) {
        self.entered.lock().unwrap().push(span.into_u64());
    }

    fn exit(&self, _: &Id) {
        self.entered.lock().unwrap().pop();
    }
}

#[test]
fn each_step_has_a_span() {
    let spans = Spans::default();
    let opened = spans.opened.clone();
    tracing::subscriber::with_default(spans, || {
        pollster::block_on(async {
            let mut subject = MockMaker::new(None).make(false).await.unwrap();
            let mut replay = Replay::new(Strategy::Substitute, Layers::First(3), Rule::Quantile(0.5));
            replay.measure_kl = true;
            let replayer = Replayer::new(&replay, subject.decoder_layers()).unwrap();
            subject.prefill(vec![(0, Plan(vec![Step::Replay(replayer)]))]).await.unwrap();
        });
    });
    let opened: Vec<String> = opened.lock().unwrap().iter().cloned().collect();
    let wanted = [
        "replay",
        "replay/capture(RLVR)",
        "replay/capture(base)",
        "replay/measure_kl",
        "replay/rank",
        "replay/substitute",
    ];
    assert_eq!(opened, wanted);
}
