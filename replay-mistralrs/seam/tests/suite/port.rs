//! What `cargo seam port` says of edits on another version of the source.
use replay_seam::{Error, Fate, summary};

use crate::support::{FIXES, Fixture, HOOK};

const MORE: &str = r#"
[[edit]]
name = "third"
why = "w"
file = "src/third.rs"
anchor = "let a = old();\nlet b = a;"
with = "let a = new();\nlet b = a;"
"#;

/// The fates of `fix`, `hook`, which builds on it, and `third`, on a source of these files.
fn fates(files: &[(&str, &str)]) -> [Fate; 3] {
    let f = Fixture::new();
    f.put_home("edits/hook/tap.toml", &format!("{HOOK}{MORE}"));
    let folder = f.root.path().join("other");
    for (file, text) in files {
        f.put(&folder.join(file), text.as_bytes());
    }
    let ported = f.seam.port_to(&folder).expect("a source");
    assert_eq!(ported.iter().map(|edit| edit.name.as_str()).collect::<Vec<_>>(), ["fix", "hook", "third"]);
    ported.into_iter().map(|edit| edit.fate).collect::<Vec<_>>().try_into().expect("three")
}

#[test]
fn an_edit_applies_where_its_anchor_still_stands_and_later_ones_build_on_it() {
    let third = ("src/third.rs", "let a = old();\nlet b = a;\n");
    let there = [Fate::Applies, Fate::Applies, Fate::Applies];
    assert_eq!(fates(&[("src/lib.rs", "two = 1;\n"), third]), there);
    // In a repository the crate has a folder of its name.
    assert_eq!(fates(&[("mistralrs-core/src/lib.rs", "two = 1;\n"), ("mistralrs-core/src/third.rs", third.1)]), there);
}

#[test]
fn an_anchor_whose_file_is_gone_and_that_stands_in_another_has_moved() {
    let [fix, hook, third] = fates(&[("src/new.rs", "x = 1;\n"), ("src/third.rs", "")]);
    let moved = Fate::Moved { to: "src/new.rs".into() };
    // The second builds on the first, where that has gone.
    assert_eq!([fix, hook, third], [moved.clone(), moved, Fate::Gone]);
    // A copy of it in a new file is a hint, no more.
    let copied = fates(&[("src/lib.rs", ""), ("src/new.rs", "x = 1;\n"), ("src/third.rs", "")]);
    assert_eq!(copied[0], Fate::Changed { file: "src/new.rs".into(), line: 1 });
}

#[test]
fn what_the_source_has_by_itself_looks_mended() {
    let third = ("src/third.rs", "let a = new();\nlet b = a;\n");
    assert_eq!(fates(&[("src/lib.rs", "x = 1;\n"), third])[2], Fate::Mended);
}

#[test]
fn what_has_changed_is_pointed_at() {
    let third = ("src/third.rs", "//\nlet a = old();\nlet c = a;\n");
    let [fix, _, third] = fates(&[("src/lib.rs", "x = 1 + 1;\n"), third]);
    assert_eq!(fix, Fate::Count { expected: 1, found: 2 });
    assert_eq!(third, Fate::Changed { file: "src/third.rs".into(), line: 2 });
}

#[test]
fn the_report_counts_all_and_lists_what_does_not_simply_apply() {
    let f = Fixture::new();
    let folder = f.root.path().join("other");
    f.put(&folder.join("src/lib.rs"), b"x = 1 + 1;\n");
    let report = summary(&f.seam.port_to(&folder).expect("a source"));
    assert_eq!(
        report,
        "2 edits: 1 gone, 1 miscounted\n  \
         miscounted   `fix` (one.toml:13) in src/lib.rs: the anchor occurs 2 time(s), not 1\n  \
         gone         `hook` (tap.toml:7) in src/lib.rs\n"
    );
    assert!(f.seam.place(&f.out(), replay_seam::Variant::FixesOnly, replay_seam::Existing::Refuse).is_ok());
}

#[test]
fn a_folder_without_the_source_is_named() {
    let f = Fixture::new();
    f.put_home("edits/fixes/one.toml", FIXES);
    let error = f.seam.port_to(f.root.path()).expect_err("no source");
    assert!(matches!(error, Error::NoSource { .. }), "{error}");
    assert!(error.to_string().contains("expected the folder of the crate mistralrs-core"), "{error}");
}
