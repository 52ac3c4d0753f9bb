//! Reader, schema and reference agree on the keys.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::keys::{Fallback, TABLES, home_of};
use super::super::{Config, Preset, json_schema, json_schema_with, reference_markdown};
use super::{parse, problems_of, valid};

/// A file with `line` in `table`, and nothing else.
fn only(table: &str, line: &str) -> String {
    match table {
        "" => line.to_owned(),
        _ => format!("[{table}]\n{line}"),
    }
}

/// The schema of a table, and its path, for all tables of the schema except the adapter's.
fn tables<'a>(path: &str, schema: &'a Value, found: &mut Vec<(String, &'a Value)>) {
    found.push((path.to_owned(), schema));
    for (name, property) in schema["properties"].as_object().unwrap() {
        if property["additionalProperties"] == false {
            let inner = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            tables(&inner, property, found);
        }
    }
}

#[test]
fn reader_and_schema_know_the_same_keys() {
    let schema = json_schema();
    let mut found = Vec::new();
    tables("", &schema, &mut found);
    assert_eq!(found.len(), TABLES.len());
    for (path, table) in found {
        let in_schema: BTreeSet<String> = table["properties"].as_object().unwrap().keys().cloned().collect();
        // An unknown key makes the reader list the keys it knows.
        let head = if path.is_empty() { "adapter = \"mistralrs\"\n" } else { "" };
        let lines = problems_of(&format!("{head}{}", only(&path, "zzz = 1")));
        let line = lines.iter().find(|line| line.contains("zzz")).unwrap();
        let known = line.split(", found ").next().unwrap();
        let in_reader: BTreeSet<String> = known.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        assert_eq!(in_reader, in_schema, "table [{path}]");
    }
}

#[test]
fn required_keys_are_required_by_both() {
    for table in &TABLES {
        for key in table.keys {
            let path = [table.path, key.name()].join(".");
            let path = path.trim_start_matches('.');
            let missing = problems_of(&only(table.path, "")).iter().any(|line| line.contains(&format!(": {path}: ")));
            assert_eq!(missing, key.fallback() == Fallback::Required, "{path}");
        }
    }
}

#[test]
fn names_are_unique_so_that_a_misplaced_key_has_one_home() {
    for table in &TABLES {
        for key in table.keys {
            let path = [table.path, key.name()].join(".");
            assert_eq!(home_of(key.name()).as_deref(), Some(path.trim_start_matches('.')));
        }
    }
    assert_eq!(home_of("rank").as_deref(), Some("replay.rank"));
    assert_eq!(home_of("colour"), None);
}

#[test]
fn written_defaults_are_the_defaults() {
    let bodies = ["strategy = \"learned\"", "strategy = \"substitute\""]
        .map(|strategy| format!("replay.{strategy}\nreplay.layers = 3\nreplay.rank.top = 1\n"));
    for body in &bodies {
        let bare = Config::from_str(&with_head(body, ""), "t.toml").unwrap().replay;
        for table in &TABLES {
            for key in table.keys {
                let Fallback::Value(value) = key.fallback() else {
                    continue;
                };
                let line = format!("{}.{} = {value}\n", table.path, key.name());
                let Ok(config) = Config::from_str(&with_head(body, &line), "t.toml") else {
                    // Refused with this strategy, and only there.
                    let only_learned = table.path == "replay.learned";
                    assert!(only_learned || key.name() == "blend", "{line}");
                    continue;
                };
                assert_eq!(config.replay, bare, "{line}");
            }
        }
    }
}

fn with_head(body: &str, line: &str) -> String {
    format!("adapter = \"a\"\npair.rlvr = \"r\"\npair.base = \"b\"\n{body}{line}")
}

#[test]
fn schema_says_what_the_file_may_hold() {
    let schema = json_schema();
    let at = |pointer: &str| schema.pointer(pointer).unwrap_or_else(|| panic!("{pointer}"));
    assert_eq!(at("/required"), &json!(["adapter", "pair", "replay"]));
    assert_eq!(at("/additionalProperties"), false);
    assert_eq!(at("/properties/mistralrs/additionalProperties"), true);
    assert_eq!(at("/properties/pair/required"), &json!(["rlvr", "base"]));
    let replay = "/properties/replay/properties";
    let names: Vec<_> = Preset::ALL.iter().map(|preset| preset.name()).collect();
    assert_eq!(at(&format!("{replay}/preset/enum")), &json!(names));
    assert_eq!(at(&format!("{replay}/layers/anyOf/0/type")), "integer");
    assert_eq!(at(&format!("{replay}/layers/anyOf/1/type")), "array");
    assert_eq!(at(&format!("{replay}/cache/properties/max_bytes/default")), "512MiB");
    assert_eq!(at(&format!("{replay}/rank/properties/fraction_of_max/exclusiveMinimum")), 0.0);
    assert_eq!(at(&format!("{replay}/enabled/default")), true);
    let adapters = json_schema_with(&[("candle", json!({ "type": "object" }))]);
    assert!(adapters["properties"]["candle"].is_object());
    assert!(adapters["properties"]["mistralrs"].is_null());
}

#[test]
fn reference_lists_every_key_and_preset() {
    let page = reference_markdown();
    for table in &TABLES {
        for key in table.keys {
            assert!(page.contains(&format!("| `{}` | ", key.name())), "{}", key.name());
            assert!(!key.meaning().is_empty());
        }
    }
    for preset in Preset::ALL {
        assert!(page.contains(&format!("- `{preset}`: {}", preset.source())));
    }
    assert!(page.contains("| `replay.rank.below` |  |  | `[4.812, "));
    // Every row of a table has the columns of its header.
    for row in page.lines().filter(|line| line.starts_with('|')) {
        assert!(row.ends_with('|'), "{row}");
        let columns = row.replace("\\|", "").matches('|').count();
        assert!(columns == 5 || columns == 6, "{row}");
    }
}

#[test]
fn every_published_value_of_the_page_can_be_put_into_a_file() {
    for preset in Preset::ALL {
        for (key, value) in preset.describe() {
            let body = format!("[replay]\npreset = \"{preset}\"\n");
            let line = key.trim_start_matches("replay.");
            assert_eq!(valid(&format!("{body}{line} = {value}")).replay, preset.settings(), "{key}");
        }
    }
    assert!(parse("").is_err());
}
