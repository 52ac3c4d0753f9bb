//! The adapter's own table, read with the same reader and the same kind of messages.

use std::ops::Bound;

use super::super::reader::TableReader;
use super::super::shape::{Integer, Text};
use super::super::{Config, ConfigError};
use super::{HEAD, valid};

const PRESET: &str = "[replay]\npreset = \"paper-math\"\n";

#[derive(Debug, PartialEq)]
struct Settings {
    device: String,
    dtype: u8,
    paged: bool,
    isq_bits: Option<i64>,
    scale: f64,
    memory: u64,
    devices: Vec<i64>,
    tags: Option<Vec<String>>,
    base: Option<String>,
}

fn settings(table: &mut TableReader<'_>) -> Settings {
    Settings {
        device: table.string("device").required(),
        dtype: table.choice("dtype", &[("bf16", 2), ("f32", 4)]).or(4),
        paged: table.boolean("paged").or(false),
        isq_bits: table.integer("isq_bits", 2..=8).optional(),
        scale: table.number("scale", (Bound::Excluded(0.0), Bound::Unbounded)).or(1.0),
        memory: table.bytes("memory").or(0),
        devices: table.list("devices", Integer(0..=7)).or(vec![0]),
        tags: table.list("tags", Text).optional(),
        base: table.table("base", |base| base.string("device").required()),
    }
}

fn lines(result: Result<Settings, ConfigError>) -> Vec<String> {
    let error = result.expect_err("must be refused");
    error.to_string().lines().map(str::to_owned).collect()
}

#[test]
fn every_kind_of_value_is_read() {
    let config = valid(&format!(
        "{PRESET}[mistralrs]\ndevice = \"cuda:0\"\ndtype = \"bf16\"\nisq_bits = 4\nscale = 2\nmemory = \"1KiB\"\n\
         devices = [0, 3]\ntags = [\"a\"]\nbase = {{ device = \"cpu\" }}\n"
    ));
    assert!(config.adapter_table.is_present());
    assert_eq!(config.adapter_table.name(), "mistralrs");
    let expected = Settings {
        device: "cuda:0".to_owned(),
        dtype: 2,
        paged: false,
        isq_bits: Some(4),
        scale: 2.0,
        memory: 1024,
        devices: vec![0, 3],
        tags: Some(vec!["a".to_owned()]),
        base: Some("cpu".to_owned()),
    };
    assert_eq!(config.read_adapter_table(settings), Ok(expected));
}

#[test]
fn all_problems_of_the_table_are_reported_with_their_places_in_the_file() {
    let config = valid(&format!(
        "{PRESET}[mistralrs]\ndtype = \"BF16\"\nisq_bits = 9\nscale = 0\nmemroy = 1\ndevices = [8, -1]\nlayers = 1\n\
         [mistralrs.base]\n"
    ));
    assert_eq!(
        lines(config.read_adapter_table(settings)),
        [
            "t.toml:7:2: mistralrs.device: expected a non-empty string, found nothing; \
             add `device = ...` below `[mistralrs]`",
            "t.toml:8:9: mistralrs.dtype: expected \"bf16\" or \"f32\", found string \"BF16\"; \
             did you mean \"bf16\"?",
            "t.toml:9:12: mistralrs.isq_bits: expected an integer from 2 to 8, found integer 9",
            "t.toml:10:9: mistralrs.scale: expected a number above 0, found integer 0",
            "t.toml:11:1: mistralrs.memroy: expected `device`, `dtype`, `paged`, `isq_bits`, `scale`, `memory`, \
             `devices`, `tags` or `base`, found unknown key `memroy`; did you mean `memory`?",
            "t.toml:12:12: mistralrs.devices: expected an integer from 0 to 7, found integer 8",
            "t.toml:12:15: mistralrs.devices: expected an integer from 0 to 7, found integer -1",
            "t.toml:13:1: mistralrs.layers: expected `device`, `dtype`, `paged`, `isq_bits`, `scale`, `memory`, \
             `devices`, `tags` or `base`, found unknown key `layers`; `layers` belongs in the table `[replay]`",
            "t.toml:14:12: mistralrs.base.device: expected a non-empty string, found nothing; \
             add `device = ...` below `[mistralrs.base]`",
        ]
    );
}

#[test]
fn a_missing_table_is_reported_at_the_adapters_name() {
    assert_eq!(
        lines(valid(PRESET).read_adapter_table(settings)),
        ["t.toml:1:11: mistralrs.device: expected a non-empty string, found no table `[mistralrs]`; \
             add `device = ...` below `[mistralrs]`"]
    );
}

#[test]
fn core_and_adapter_can_report_together() {
    let source = format!("{HEAD}[replay]\npreset = \"paper\"\n[mistralrs]\nisq_bits = 1\ndevice = \"cpu\"");
    let result = Config::from_str_with(&source, "t.toml", |name, table| {
        assert_eq!(name, "mistralrs");
        settings(table)
    });
    let error = result.expect_err("must be refused");
    let paths: Vec<_> = error.problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(paths, ["replay.preset", "mistralrs.isq_bits"]);

    let right = source.replace("\"paper\"", "\"paper-math\"").replace("bits = 1", "bits = 2");
    let (config, read) = Config::from_str_with(&right, "t.toml", |_, table| settings(table)).unwrap();
    assert_eq!(read.isq_bits, Some(2));
    assert_eq!(config.read_adapter_table(settings), Ok(read));
}

#[test]
fn an_adapter_can_report_problems_of_its_own() {
    let config = valid(&format!("{PRESET}[mistralrs]\n  device = \"cpu\"\n"));
    let refused = config.read_adapter_table(|table| {
        let device = table.string("device").map(|name| name.to_uppercase()).required();
        assert_eq!((table.path(), table.is_present(), device.as_str()), ("mistralrs", true, "CPU"));
        table.report("device", "a device of this machine", Some("this machine has \"cuda:0\""));
        table.report("port", "a port", None);
    });
    assert_eq!(
        refused.expect_err("must be refused").to_string(),
        "t.toml:7:2: mistralrs.port: expected a port, found no such key\n\
         t.toml:8:3: mistralrs.device: expected a device of this machine, found string \"cpu\"; \
         this machine has \"cuda:0\""
    );
}

#[test]
fn a_problem_found_after_reading_has_its_line() {
    let config = valid(&format!("{PRESET}layers = 28\n"));
    let error = |path, expected, hint| config.refuse(path, expected, hint).to_string();
    assert_eq!(
        error("replay.layers", "at most 24 layers", None),
        "t.toml:7:10: replay.layers: expected at most 24 layers, found integer 28"
    );
    assert_eq!(
        error("adapter", "\"candle\"", Some("did you mean \"candle\"?")),
        "t.toml:1:11: adapter: expected \"candle\", found string \"mistralrs\"; did you mean \"candle\"?"
    );
    assert_eq!(error("replay.rank.top", "a rule", None), "t.toml:5:2: replay.rank.top: expected a rule, found nothing");
}
