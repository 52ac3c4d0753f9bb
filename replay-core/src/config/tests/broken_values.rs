//! Values of the wrong kind or out of range.

use super::{problems, problems_of};

const LAYERS: &str = "a number of layers from 1 to 4096, or a non-empty ascending list of layer \
                      numbers such as [0, 1, 5]";
const SIZE: &str = "a size such as \"512MiB\", or a number of bytes";

/// The one problem of `key = value` in `table` of an otherwise valid file: at line 8, in the column of the value.
fn check(table: &str, key: &str, value: &str, message: &str) {
    let body = match table {
        "replay" => format!("[replay]\npreset = \"paper-math\"\n\n{key} = {value}\n"),
        _ => format!("[replay]\npreset = \"paper-math\"\n[{table}]\n{key} = {value}\n"),
    };
    let column = key.len() + 4;
    assert_eq!(problems(&body), [format!("8:{column}: {table}.{key}: {message}")]);
}

#[test]
fn booleans() {
    check("replay", "enabled", "1", "expected true or false, found integer 1");
    check(
        "replay",
        "measure_kl",
        "\"true\"",
        "expected true or false, found string \"true\"; write it without quotes: `true`",
    );
    check("replay.learned", "normalize", "[]", "expected true or false, found an empty list");
}

#[test]
fn choices() {
    check(
        "replay",
        "strategy",
        "\"learn\"",
        "expected \"substitute\" or \"learned\", found string \"learn\"; did you mean \"learned\"?",
    );
    check(
        "replay",
        "positions",
        "\"Visual\"",
        "expected \"visual\" or \"all\", found string \"Visual\"; did you mean \"visual\"?",
    );
    check("replay", "alignment", "true", "expected \"aligned\" or \"released\", found boolean true");
    check(
        "replay",
        "on_error",
        "\"pass-through\"",
        "expected \"fail\" or \"passthrough\", found string \"pass-through\"; did you mean \"passthrough\"?",
    );
    check(
        "replay.rank",
        "keep",
        "\"middle\"",
        "expected \"low\", \"high\", \"random\" or \"drifted\", found string \"middle\"",
    );
    check(
        "replay.rank",
        "keep",
        "2024-01-02",
        "expected \"low\", \"high\", \"random\" or \"drifted\", found date or time 2024-01-02",
    );
}

#[test]
fn presets() {
    let names = "\"paper-math\", \"paper-math-24\", \"paper-agent\" or \"paper-video\"";
    assert_eq!(
        problems("[replay]\npreset = \"paper_math24\""),
        [format!(
            "6:10: replay.preset: expected {names}, found string \"paper_math24\"; did you mean \"paper-math-24\"?"
        )]
    );
}

#[test]
fn layers() {
    let layers = |value, message: &str| check("replay", "layers", value, message);
    layers("0", &format!("expected {LAYERS}, found integer 0"));
    layers("5000", &format!("expected {LAYERS}, found integer 5000"));
    layers("[]", &format!("expected {LAYERS}, found an empty list"));
    layers("\"16\"", &format!("expected {LAYERS}, found string \"16\""));
    layers("16.0", &format!("expected {LAYERS}, found number 16.0"));
}

#[test]
fn lists_of_layers_are_checked_item_by_item() {
    assert_eq!(
        problems("[replay]\npreset = \"paper-math\"\nlayers = [\n  0, 2,\n  1, 1, -1, \"x\"]"),
        [
            "9:3: replay.layers: expected each layer once, in ascending order, found layer 1 after 2; \
             did you mean [0, 1, 2]?",
            "9:6: replay.layers: expected each layer once, in ascending order, found layer 1 twice; \
             did you mean [0, 1, 2]?",
            "9:9: replay.layers: expected an integer from 0 to 4095, found integer -1",
            "9:13: replay.layers: expected an integer from 0 to 4095, found string \"x\"",
        ]
    );
}

#[test]
fn numbers_with_limits() {
    let fraction = |value, found: &str| {
        let message = format!("expected a number above 0 and at most 1, found {found}");
        check("replay.rank", "fraction_of_max", value, &message);
    };
    fraction("0", "integer 0");
    fraction("1.01", "number 1.01");
    fraction("nan", "number nan");
    fraction("\"0.4\"", "string \"0.4\"; write it without quotes: `0.4`");
    check("replay.rank", "quantile", "-0.1", "expected a number from 0 to 1, found number -0.1");
    for value in ["0.0", "-1.5", "inf", "1e999"] {
        let message = format!("expected a number above 0, found number {value}");
        check("replay.learned", "learning_rate", value, &message);
    }
    assert_eq!(
        problems("[replay]\npreset = \"paper-video\"\nblend = 1.5"),
        ["7:9: replay.blend: expected a number from 0 to 1, found number 1.5"]
    );
}

#[test]
fn thresholds() {
    check("replay.rank", "below", "-1", "expected a number of nats, 0 or more, found integer -1");
    check(
        "replay.rank",
        "below",
        "\"3\"",
        "expected a number of nats, 0 or more, or a list with one such number per policy layer, \
         found string \"3\"",
    );
    assert_eq!(
        problems("[replay]\npreset = \"paper-math\"\n[replay.rank]\nbelow = [1.0, inf, 3, true]"),
        [
            "8:15: replay.rank.below: expected a number of nats, 0 or more, found number inf",
            "8:23: replay.rank.below: expected a number of nats, 0 or more, found boolean true",
        ]
    );
}

#[test]
fn integers_with_limits() {
    check("replay.rank", "top", "0", "expected an integer, 1 or more, found integer 0");
    check(
        "replay.rank",
        "top",
        "99999999999999999999",
        "expected an integer, 1 or more, found integer 99999999999999999999; \
         the number does not fit into 64 bits",
    );
    check(
        "replay.learned",
        "iterations",
        "25.0",
        "expected an integer from 1 to 1000000, found number 25.0; write it without a fraction: `25`",
    );
    check(
        "replay.learned",
        "top_tokens",
        "\"50\"",
        "expected an integer from 1 to 1000000, found string \"50\"; write it without quotes: `50`",
    );
}

#[test]
fn sizes() {
    let size = |value, rest: &str| {
        check("replay.cache", "max_bytes", value, &format!("expected {SIZE}, found {rest}"));
    };
    size("-1", "integer -1");
    size("1.5", "number 1.5");
    size("\"lots\"", "string \"lots\"");
    size("\"512MB/s\"", "string \"512MB/s\"; did you mean \"512MB\"?");
    size("\"512mib\"", "string \"512mib\"; did you mean \"512MiB\"?");
    size("\"512\"", "string \"512\"; add a unit such as `MiB`, or write the bytes without quotes: `512`");
    let message = format!("expected {SIZE}, at least 1, found integer 0");
    check("replay", "lens_memory", "0", &message);
}

#[test]
fn names_must_not_be_empty() {
    assert_eq!(
        problems_of("adapter = \"\"\n[pair]\nrlvr = \"  \"\nbase = 7\n[replay]\npreset = \"paper-math\""),
        [
            "1:11: adapter: expected a non-empty string, found an empty string",
            "3:8: pair.rlvr: expected a non-empty string, found string \"  \"",
            "4:8: pair.base: expected a non-empty string, found integer 7",
        ]
    );
}

#[test]
fn an_adapter_named_like_a_table_of_the_core() {
    assert_eq!(
        problems_of("adapter = \"replay\"\npair.rlvr = \"r\"\npair.base = \"b\"\nreplay.preset = \"paper-math\""),
        ["1:1: adapter: expected the name of an engine adapter, found string \"replay\""]
    );
}

#[test]
fn long_and_hostile_values_are_shown_shortened_and_escaped() {
    let long = "x".repeat(500);
    let found = &problems(&format!("[replay]\npreset = \"a\\n{long}\""))[0];
    assert!(found.contains("found string \"a\\nxxx"), "{found}");
    assert!(found.contains("x…\""), "{found}");
    assert!(found.len() < 250, "{found}");
}
