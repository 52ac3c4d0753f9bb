//! The lists: what they do, and the evidence when they do not fit or are not well formed.

use replay_seam::{Error, Variant};

use crate::support::{FIXES, Fixture, HOOK};

#[test]
fn fixes_come_first_and_the_seam_on_top() {
    let f = Fixture::new();
    f.place().expect("fits");
    assert_eq!(f.text("src/lib.rs"), "one = tap(2);\n");
    assert_eq!(f.text("src/hook/inner/mod.rs"), "// inner\n");
    let notes = f.text("SEAM.md");
    for part in [
        "- `fix` in `src/lib.rs`: mends `one`\n",
        "- fault `one`: One is wrong.\n",
        "- `hook` in `src/lib.rs`: to look inside\n",
        "- new: `src/hook`\n",
    ] {
        assert!(notes.contains(part), "{notes}");
    }
}

#[test]
fn fixes_alone_do_not_need_the_seam() {
    let f = Fixture::new();
    f.put_home("edits/hook/tap.toml", "broken");
    let files = f.seam.files(Variant::FixesOnly).expect("fits");
    assert_eq!(files["src/lib.rs"], b"one = 2;\n");
    assert!(!files.keys().any(|file| file.starts_with("src/hook")));
    assert!(!String::from_utf8_lossy(&files["SEAM.md"]).contains("`hook`"));
}

#[test]
fn everything_that_does_not_fit_is_told_at_once() {
    let f = Fixture::new();
    let more = r#"
[[module]]
from = "fixes.rs"
to = "Cargo.toml"

[[edit]]
name = "absent"
why = "w"
file = "src/lib.rs"
anchor = """

  not there
second line"""
with = ""

[[edit]]
name = "too-often"
why = "w"
file = "src/lib.rs"
anchor = "e"
with = ""
count = 3

[[edit]]
name = "no-file"
why = "w"
file = "src/gone.rs"
anchor = "e"
with = ""
"#;
    f.put_home("edits/hook/tap.toml", &format!("{HOOK}{more}"));
    f.put_home("edits/fixes/one.toml", &FIXES.replace("anchor = \"1\"", "anchor = \"n\"\ncount = 2"));
    let Err(Error::Fit { failures }) = f.place() else { panic!("an error about the fit") };
    assert_eq!(failures.len(), 6);
    assert_eq!(
        f.error(),
        "6 of the seam's entries do not fit mistralrs-core 0.8.1; nothing was written:
  Cargo.toml: `Cargo.toml` (tap.toml:14): expected a free place for the module, found a file
  src/lib.rs: `fix` (one.toml:13): expected the anchor 2 time(s), found it 1 time(s); it begins `n`
  src/lib.rs: `hook` (tap.toml:7): expected the anchor 1 time(s), found it 0 time(s); it begins `2`
  src/lib.rs: `absent` (tap.toml:18): expected the anchor 1 time(s), found it 0 time(s); it begins `not there`
  src/lib.rs: `too-often` (tap.toml:28): expected the anchor 3 time(s), found it 1 time(s); it begins `e`
  src/gone.rs: `no-file` (tap.toml:36): expected this file in the engine, found none
anchors are counted after the edits above them were applied; correct the entries named here"
    );
    assert!(!f.out().exists());
}

#[test]
fn overlapping_edits_are_noticed() {
    let f = Fixture::new();
    let twice = HOOK
        .replace("name = \"hook\"", "name = \"again\"")
        .replace("[[module]]\nfrom = \"hook\"\nto = \"src/hook\"", "");
    f.put_home("edits/hook/tap.toml", &format!("{HOOK}{}", twice.replace("anchor = \"2\"", "anchor = \"= 2\"")));
    assert!(f.error().contains("`again`"), "{}", f.error());
}

#[test]
fn malformed_lists_name_file_and_line() {
    let f = Fixture::new();
    let cases = [
        ("[[edit]]\nname = \"a\"\nfiel = \"x\"\n", 3, "unknown field `fiel`"),
        ("[[edit]]\nname = \"a\"\n\n[oops\n", 4, ""),
        ("\n[[edit]]\nname = \"a\"\n", 2, "missing field `anchor`"),
        ("edits = 1\n", 1, "unknown field `edits`"),
    ];
    for (text, line, part) in cases {
        f.put_home("edits/hook/tap.toml", text);
        let found = f.error();
        assert!(found.starts_with(&format!("home/edits/hook/tap.toml:{line}: ")) && found.contains(part), "{found}");
    }
}

#[test]
fn senseless_values_name_file_and_line() {
    let f = Fixture::new();
    let line_of = |key: &str| HOOK.lines().position(|line| line.starts_with(key)).expect(key) + 1;
    let cases = [
        ("name = ", "name = \"Has Spaces\"", "kebab-case"),
        ("why = ", "why = \" \"", "must be one line"),
        ("file = ", "file = \"../lib.rs\"", "relative path"),
        ("anchor = ", "anchor = \"\"", "is empty"),
        ("from = ", "from = \"/etc\"", "relative path"),
        ("with = ", "with = 3", "expected a string"),
    ];
    for (key, new, part) in cases {
        let line = line_of(key);
        let text: Vec<_> = HOOK.lines().map(|old| if old.starts_with(key) { new } else { old }).collect();
        f.put_home("edits/hook/tap.toml", &text.join("\n"));
        let found = f.error();
        assert!(found.starts_with(&format!("home/edits/hook/tap.toml:{line}: ")) && found.contains(part), "{found}");
    }
    f.put_home("edits/hook/tap.toml", &format!("{HOOK}count = 0\n"));
    assert!(f.error().contains("nonzero"), "{}", f.error());
    let (_, edit) = HOOK.split_once("[[edit]]").expect("an edit");
    f.put_home("edits/hook/tap.toml", &format!("{HOOK}[[edit]]{edit}"));
    assert!(f.error().contains("a second edit is named `hook`"), "{}", f.error());
}

#[test]
fn an_edit_may_be_made_in_several_files_and_must_name_one() {
    let f = Fixture::new();
    let several = HOOK.replace("file = \"src/lib.rs\"", "files = [\"src/lib.rs\", \"src/gone.rs\"]");
    assert_ne!(several, HOOK);
    f.put_home("edits/hook/tap.toml", &several);
    // Found in the first, and looked for in the second.
    assert!(f.error().contains("src/gone.rs: `hook`") && !f.error().contains("src/lib.rs: `hook`"), "{}", f.error());
    for wrong in ["", "file = \"src/lib.rs\"\nfiles = [\"src/lib.rs\"]"] {
        f.put_home("edits/hook/tap.toml", &HOOK.replace("file = \"src/lib.rs\"", wrong));
        assert!(f.error().contains("either `file` or a list `files`"), "{}", f.error());
    }
}

#[test]
fn missing_module_is_named() {
    let f = Fixture::new();
    std::fs::remove_file(f.seam.home.join("engine/fixes.rs")).expect("it was there");
    assert!(f.error().starts_with("cannot read the module home/engine/fixes.rs: "), "{}", f.error());
}
