//! Text that is not TOML.

use super::super::Config;
use super::{HEAD, problems, problems_of};

#[test]
fn a_string_without_quotes() {
    assert_eq!(
        problems("[replay]\npreset = paper-math\n"),
        ["6:10: expected valid TOML (string values must be quoted), found `paper-math`; \
             write strings in quotes, numbers and booleans without"]
    );
}

#[test]
fn a_key_twice() {
    assert_eq!(
        problems("[replay]\npreset = \"paper-math\"\npreset = \"paper-video\"\n"),
        ["7:1: expected valid TOML (duplicate key), found `preset`; keep one of the two"]
    );
}

#[test]
fn unclosed_brackets_and_strings() {
    assert_eq!(
        problems("[replay\npreset = \"paper-math\"\nlayers = \"none\""),
        ["5:8: expected valid TOML (unclosed table, needs `]`), found the end of the line"]
    );
    assert_eq!(
        problems("[replay]\npreset = \"paper-math\"\nlayers = [1, 2"),
        ["7:15: expected valid TOML (unclosed array, needs `]`), found the end of the file"]
    );
    assert!(problems("[replay]\npreset = \"paper-math\n")[0].starts_with("6:21: expected valid TOML"));
}

#[test]
fn columns_count_characters_not_bytes() {
    let source = "adapter = \"é\"\npair = { rlvr = \"模型/ß\", base = \"\" }\n[replay]\npreset = \"paper-math\"\n";
    assert_eq!(problems_of(source), ["2:32: pair.base: expected a non-empty string, found an empty string"]);
    let error = Config::from_str(source, "t.toml").unwrap_err();
    assert_eq!(&source[error.problems[0].span.clone()], "\"\"");
    assert_eq!(
        problems_of("# é模\nx = 'ü' ß\n")[0],
        "2:9: expected valid TOML (unexpected key or value, needs newline, `#`), found `ß`"
    );
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_shift_nothing() {
    let source = format!("\u{feff}{HEAD}[replay]\npreset = 1\n").replace('\n', "\r\n");
    assert!(problems_of(&source)[0].starts_with("6:10: replay.preset: "));
    assert!(problems_of("\u{feff}adapter = 1")[0].starts_with("1:1: "));
    assert!(problems_of("\u{feff}adapter = 1").iter().any(|line| line.starts_with("1:11: adapter")));
}

#[test]
fn a_syntax_error_does_not_hide_other_mistakes_and_invents_none() {
    assert_eq!(
        problems("[replay]\nstrategy = learned\nlayers = 0\n[replay.rank]\ntop = \n"),
        [
            "6:12: expected valid TOML (string values must be quoted), found `learned`; \
             write strings in quotes, numbers and booleans without",
            "7:10: replay.layers: expected a number of layers from 1 to 4096, or a non-empty ascending list of \
             layer numbers such as [0, 1, 5], found integer 0",
            "9:7: expected valid TOML (string values must be quoted), found the end of the line; \
             write strings in quotes, numbers and booleans without",
        ]
    );
}
