//! Files that are damaged on purpose: never a panic, and always a place inside the file.

use super::super::{Config, ConfigError};
use super::HEAD;

const EVERYTHING: &str = r#"
[replay]  # ünïcödé 模型
enabled = true
preset = "paper-math"
layers = [0, 1, 15]
lens_memory = "64MiB"
[replay.rank]
below = [1.5, 2, 3e0]
[replay.learned]
iterations = 5
[replay.cache]
max_bytes = 1_000
[mistralrs]
device = 'é'
inner = { a = [1, { b = 1979-05-27 }] }
"#;

fn check(source: &str) {
    let result = Config::from_str_with(source, "t.toml", |_, table| {
        table.string("device").required();
        table.table("inner", |inner| inner.accept_all());
    });
    if let Err(error) = result {
        well_formed(&error, source);
    }
}

fn well_formed(error: &ConfigError, source: &str) {
    assert!(!error.problems.is_empty(), "{source}");
    assert_eq!(error.to_string().lines().count(), error.problems.len(), "{source}");
    for problem in &error.problems {
        assert!(problem.span.start <= problem.span.end && problem.span.end <= source.len());
        assert!((1..=source.lines().count() + 1).contains(&problem.line), "{source}");
        assert!(problem.column >= 1);
    }
}

#[test]
fn every_single_character_damaged() {
    let source = format!("{HEAD}{EVERYTHING}");
    assert!(Config::from_str(&source, "t.toml").is_ok());
    for (start, character) in source.char_indices() {
        let (before, rest) = source.split_at(start);
        let after = &rest[character.len_utf8()..];
        check(before);
        for garbage in
            ["", "\0", "\"", "'", "[", "]", "{", "=", "\n", "\r", "#", ".", "-", "9", "é", "\u{feff}", "\u{202e}"]
        {
            check(&format!("{before}{garbage}{after}"));
            check(&format!("{before}{garbage}{rest}"));
        }
    }
}

#[test]
fn lines_swapped_doubled_and_dropped() {
    let source = format!("{HEAD}{EVERYTHING}");
    let lines: Vec<&str> = source.lines().collect();
    for first in 0..lines.len() {
        for second in 0..lines.len() {
            let mut swapped = lines.clone();
            swapped.swap(first, second);
            check(&swapped.join("\n"));
            swapped[first] = lines[first];
            check(&swapped.join("\n"));
            swapped.remove(second);
            check(&swapped.join("\r\n"));
        }
    }
}

#[test]
fn deep_nesting_is_refused() {
    check(&format!("{HEAD}x = {}", "[".repeat(100_000)));
    check(&format!("{HEAD}x = {}", "{a=".repeat(50_000)));
    check(&format!("{HEAD}{} = 1", vec!["a"; 20_000].join(".")));
    check(&format!("{HEAD}[{}]", vec!["a"; 20_000].join(".")));
}

#[test]
fn thousands_of_mistakes_are_reported_in_good_time() {
    let many: String = (0..5_000).map(|index| format!("k{index} = 1\n")).collect();
    let error = Config::from_str(&format!("{HEAD}{many}"), "t.toml").unwrap_err();
    assert!(error.problems.len() >= 5_000);
    well_formed(&error, &error.source);
}
