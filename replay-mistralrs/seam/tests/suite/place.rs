//! Writing: as little as possible, nothing that is not ours, and always the whole.

use std::{fs, fs::File, time::SystemTime};

use replay_seam::{Error, Existing, Variant};

use crate::support::{Fixture, HOOK};

#[test]
fn a_second_run_touches_nothing() {
    let f = Fixture::new();
    let first = f.place().expect("placed");
    assert_eq!(first.written.len(), 6, "{:?}", first.written);
    assert!(first.altered.is_empty());
    let times = f.times();
    let second = f.place().expect("placed");
    assert!(second.written.is_empty() && second.removed.is_empty());
    // Not even without the stamp, when contents are compared.
    fs::remove_file(f.out().join(".seam/stamp")).expect("it was there");
    let third = f.place().expect("placed");
    assert!(third.written.is_empty() && third.removed.is_empty() && third.altered.is_empty());
    assert_eq!(f.times(), times);
}

#[test]
fn a_changed_module_rewrites_that_file_alone() {
    let f = Fixture::new();
    f.place().expect("placed");
    let times = f.times();
    f.put_home("engine/fixes.rs", "// better\n");
    let placed = f.place().expect("placed");
    assert_eq!((placed.written, placed.removed, placed.altered), (vec!["src/fixes.rs".to_owned()], vec![], vec![]));
    let changed: Vec<_> =
        f.times().into_iter().filter(|(path, time)| times[path] != *time).map(|(path, _)| path).collect();
    assert_eq!(changed, [f.engine().join("src/fixes.rs")]);
}

#[test]
fn what_no_longer_belongs_is_removed() {
    let f = Fixture::new();
    f.place().expect("placed");
    f.put_home("edits/hook/tap.toml", &HOOK.replace("to = \"src/hook\"", "to = \"src/tap\""));
    let placed = f.place().expect("placed");
    assert_eq!(placed.removed, ["src/hook/inner/mod.rs", "src/hook/mod.rs"]);
    assert!(placed.altered.is_empty());
    assert!(!f.engine().join("src/hook").exists());
    assert_eq!(f.text("src/tap/mod.rs"), "mod inner;\n");
}

#[test]
fn an_altered_file_is_restored_and_the_alteration_kept() {
    let f = Fixture::new();
    f.place().expect("placed");
    let lib = f.engine().join("src/lib.rs");
    // Of the same length, so that only the time of change tells.
    fs::write(&lib, "one = tap(9);\n").expect("write");
    File::options().write(true).open(&lib).and_then(|file| file.set_modified(SystemTime::UNIX_EPOCH)).expect("a time");
    f.put(&f.engine().join("src/extra.rs"), b"mine");
    let placed = f.place().expect("placed");
    assert_eq!((placed.written, placed.removed), (vec!["src/lib.rs".to_owned()], vec!["src/extra.rs".to_owned()]));
    assert_eq!(placed.altered, ["src/extra.rs", "src/lib.rs"]);
    assert_eq!(f.text("src/lib.rs"), "one = tap(2);\n");
    assert_eq!(fs::read_to_string(placed.kept_in.join("src/lib.rs")).expect("kept"), "one = tap(9);\n");
    assert_eq!(fs::read_to_string(placed.kept_in.join("src/extra.rs")).expect("kept"), "mine");
}

#[test]
fn a_lost_file_and_a_folder_in_its_place_are_mended() {
    let f = Fixture::new();
    f.place().expect("placed");
    let lib = f.engine().join("src/lib.rs");
    fs::remove_file(&lib).expect("it was there");
    f.place().expect("placed");
    assert_eq!(f.text("src/lib.rs"), "one = tap(2);\n");
    fs::remove_file(&lib).expect("it was there");
    fs::create_dir(&lib).expect("a folder");
    f.place().expect("placed");
    assert_eq!(f.text("src/lib.rs"), "one = tap(2);\n");
}

#[test]
fn build_output_is_left_alone() {
    let f = Fixture::new();
    f.place().expect("placed");
    let built = f.engine().join("target/debug/built");
    f.put(&built, b"x");
    assert!(f.place().expect("placed").removed.is_empty());
    f.put_home("engine/fixes.rs", "// better\n");
    assert!(f.place().expect("placed").removed.is_empty());
    assert!(built.exists());
}

#[test]
fn variants_replace_one_another() {
    let f = Fixture::new();
    f.place().expect("placed");
    f.seam.place(&f.out(), Variant::FixesOnly, Existing::Refuse).expect("placed");
    assert_eq!(f.text("src/lib.rs"), "one = 2;\n");
    assert!(!f.engine().join("src/hook").exists());
    f.place().expect("placed");
    assert_eq!(f.text("src/lib.rs"), "one = tap(2);\n");
}

#[test]
fn a_folder_of_others_is_refused_or_adopted() {
    let f = Fixture::new();
    let theirs = f.engine().join("src/lib.rs");
    f.put(&theirs, b"theirs");
    assert!(matches!(f.place(), Err(Error::Occupied { .. })));
    let text = f.error();
    assert!(text.starts_with("out/mistralrs-core exists and was not written by this tool"), "{text}");
    assert_eq!(fs::read(&theirs).expect("still there"), b"theirs");

    let placed = f.seam.place(&f.out(), Variant::Hooked, Existing::Adopt).expect("adopted");
    assert_eq!(placed.altered, ["src/lib.rs"]);
    assert_eq!(fs::read(placed.kept_in.join("src/lib.rs")).expect("kept"), b"theirs");
}

#[test]
fn a_file_in_the_way_is_named() {
    let f = Fixture::new();
    f.put(&f.out(), b"in the way");
    assert!(f.error().starts_with("cannot create the folder out: "), "{}", f.error());
    fs::remove_file(f.out()).expect("it was there");
    f.put(&f.engine(), b"in the way");
    assert!(f.error().starts_with("out/mistralrs-core exists and is not a folder; move it away"), "{}", f.error());
}

#[test]
fn a_damaged_stamp_is_as_good_as_none() {
    let f = Fixture::new();
    f.place().expect("placed");
    let times = f.times();
    for damaged in ["", "seam stamp 1", "seam stamp 1\nkey\nx y z\n", "other\n\n"] {
        fs::write(f.out().join(".seam/stamp"), damaged).expect("write");
        assert!(f.place().expect("placed").written.is_empty());
    }
    assert_eq!(f.times(), times);
}

#[test]
fn many_at_once_agree() {
    let f = Fixture::new();
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..8).map(|_| scope.spawn(|| f.place().expect("placed").written.len())).collect();
        let written: Vec<_> = runs.into_iter().map(|run| run.join().expect("no panic")).collect();
        assert_eq!(written.iter().sum::<usize>(), 6, "one writes, the others find it done: {written:?}");
    });
    assert_eq!(f.text("src/lib.rs"), "one = tap(2);\n");
}
