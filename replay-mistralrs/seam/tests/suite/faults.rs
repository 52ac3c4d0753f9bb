//! Faults and the edits that mend them: what a list in `fixes/` must state, and the page that is made of it.

use replay_seam::{EditList, Mended, PAGE};

use crate::support::{FIXES, Fixture, HOOK};

/// The first list of fixes, with some of its text replaced.
fn error(old: &str, new: &str) -> String {
    let f = Fixture::new();
    let list = FIXES.replace(old, new);
    assert_ne!(list, FIXES, "{old} is not there");
    f.put_home("edits/fixes/one.toml", &list);
    f.error()
}

#[test]
fn a_fault_is_read_with_its_tests_and_its_upstream_fix() {
    let f = Fixture::new();
    let areas = f.seam.areas().expect("one list");
    let [EditList { name, faults, .. }] = areas.as_slice() else { panic!("{areas:?}") };
    assert_eq!((name.as_str(), faults.len()), ("one", 1));
    assert_eq!((faults[0].name.as_str(), faults[0].what.as_str()), ("one", "One is wrong."));
    assert_eq!(faults[0].tests, ["suite::one_is_right"]);
    assert_eq!(faults[0].mended, Mended::In("0.9.1".into()));
    for (line, mended) in [("mended = \"no\"", Mended::No), ("", Mended::Unknown)] {
        f.put_home("edits/fixes/one.toml", &FIXES.replace("mended = \"0.9.1\"", line));
        assert_eq!(f.seam.areas().expect("one list")[0].faults[0].mended, mended);
    }
}

#[test]
fn an_edit_of_an_unknown_fault_is_refused() {
    let found = error("fault = \"one\"", "fault = \"two\"");
    assert!(found.starts_with("home/edits/fixes/one.toml:14: "), "{found}");
    assert!(found.contains("edit `fix` mends fault `two`, but this list has no `[[fault]]` of that name"), "{found}");
}

#[test]
fn a_fault_that_no_edit_mends_is_refused() {
    let found = error("[[edit]]", "[[fault]]\nname = \"two\"\nwhat = \"Two is wrong.\"\n\n[[edit]]");
    assert!(found.starts_with("home/edits/fixes/one.toml:13: no edit mends fault `two`"), "{found}");
}

#[test]
fn an_edit_of_a_fix_names_a_fault_and_gives_no_reason_of_its_own() {
    for new in ["", "why = \"w\"", "fault = \"one\"\nwhy = \"w\""] {
        // The fault has another edit, so that it is not the one refused.
        let other = "[[edit]]\nname = \"other\"\nfault = \"one\"\nfile = \"src/lib.rs\"\nanchor = \"x\"\nwith = \"\"\n\n[[edit]]\nname = \"fix\"";
        let found = error("[[edit]]\nname = \"fix\"\nfault = \"one\"", &format!("{other}\n{new}"));
        assert!(
            found.contains("edit `fix` in `fixes/` must name the `fault` that it mends, and have no `why`"),
            "{found}"
        );
    }
}

#[test]
fn faults_and_notes_are_for_fixes_alone() {
    let f = Fixture::new();
    for (more, part) in [
        ("[[fault]]\nname = \"two\"\nwhat = \"w\"\n", "fault `two` is outside `fixes/`"),
        (
            "[[edit]]\nname = \"a\"\nfault = \"one\"\nfile = \"a\"\nanchor = \"a\"\nwith = \"\"\n",
            "edit `a` needs `why`",
        ),
        ("[[edit]]\nname = \"a\"\nwhy = \"w\"\nnote = \"n\"\nfile = \"a\"\nanchor = \"a\"\nwith = \"\"\n", "`note`"),
        ("[[edit]]\nname = \"a\"\nfile = \"a\"\nanchor = \"a\"\nwith = \"\"\n", "edit `a` needs `why`"),
    ] {
        f.put_home("edits/hook/tap.toml", &format!("{HOOK}\n{more}"));
        assert!(f.error().contains(part), "{}", f.error());
    }
}

#[test]
fn values_of_a_fault_that_make_no_sense_name_file_and_line() {
    let cases = [
        ("name = \"one\"\nwhat", "name = \"One\"\nwhat", 7, "kebab-case"),
        ("\"One is wrong.\"", "\" \"", 8, "`what` must be one line"),
        ("suite::one_is_right", "one_is_right", 9, "as `module::test`"),
        ("suite::one_is_right", "suite::One", 9, "as `module::test`"),
        ("\"0.9.1\"", "\"0.9\"", 10, "`mended` must be a version"),
        ("\"0.9.1\"", "\"yes\"", 10, "`mended` must be a version"),
        ("mended", "menden", 10, "unknown field `menden`"),
        ("what = \"One is wrong.\"\n", "", 6, "missing field `what`"),
    ];
    for (old, new, line, part) in cases {
        let found = error(old, new);
        assert!(found.starts_with(&format!("home/edits/fixes/one.toml:{line}: ")) && found.contains(part), "{found}");
    }
    let second = error("[[edit]]", "[[fault]]\nname = \"one\"\nwhat = \"w\"\n\n[[edit]]");
    assert!(second.contains("one.toml:13: a second fault is named `one`"), "{second}");
}

#[test]
fn a_note_of_an_edit_is_kept() {
    let f = Fixture::new();
    f.put_home("edits/fixes/one.toml", &FIXES.replace("fault = \"one\"", "fault = \"one\"\nnote = \"two is right\""));
    f.place().expect("fits");
    assert!(
        f.text("SEAM.md").contains("- `fix` in `src/lib.rs`: mends `one`: two is right\n"),
        "{}",
        f.text("SEAM.md")
    );
}

#[test]
fn the_page_has_a_row_for_each_fault() {
    let f = Fixture::new();
    let other = "[[fault]]\nname = \"two\"\nwhat = \"Two is wrong.\"\n\n[[edit]]\nname = \"second\"\nfault = \"two\"\nfile = \"x\"\nanchor = \"x\"\nwith = \"\"\n";
    f.put_home("edits/fixes/two.toml", other);
    let page = f.seam.faults_page().expect("two lists");
    for part in [
        "has 2 faults that `cargo seam` mends. 1 of them",
        "| 0.9.1 | 1 |\n| not known | 1 |\n",
        "## `one`\n\n[one.toml](../replay-mistralrs/seam/edits/fixes/one.toml)\n",
        "| `one` | One is wrong. | `suite::one_is_right` | 0.9.1 |\n",
        "| `two` | Two is wrong. | no test | not known |\n",
        PAGE,
    ] {
        assert!(page.contains(part), "no {part} in\n{page}");
    }
}
