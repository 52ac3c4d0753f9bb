//! The lists of this repository fit the engine's published source. Fetches it if cargo has not yet.

use replay_seam::{EditList, Seam, Variant};

#[test]
fn our_edits_fit_the_engine() {
    let seam = Seam::of_this_repository();
    let fixed = seam.files(Variant::FixesOnly).unwrap_or_else(|e| panic!("{e}"));
    let hooked = seam.files(Variant::Hooked).unwrap_or_else(|e| panic!("{e}"));
    assert!(fixed.keys().all(|file| hooked.contains_key(file)));
    assert_ne!(fixed["src/lib.rs"], hooked["src/lib.rs"]);
}

#[test]
fn fixes_do_not_mention_the_seam() {
    let fixed = Seam::of_this_repository().files(Variant::FixesOnly).unwrap_or_else(|e| panic!("{e}"));
    let mention: Vec<_> = fixed
        .iter()
        .filter(|(_, content)| String::from_utf8_lossy(content).contains("forward_hook"))
        .map(|(file, _)| file)
        .collect();
    assert!(mention.is_empty(), "{mention:?} must compile without the seam");
}

#[test]
fn the_build_script_does_not_run_at_every_command() {
    let files = Seam::of_this_repository().files(Variant::FixesOnly).unwrap_or_else(|e| panic!("{e}"));
    let script = String::from_utf8_lossy(&files["build.rs"]);
    assert!(!script.contains("rerun-if-changed=.git/HEAD"), "cargo takes a watched file that is missing for changed");
}

#[test]
fn an_edit_is_known_by_its_name_in_all_lists() {
    let (mut folders, mut names) =
        (vec![Seam::of_this_repository().home.join("edits")], std::collections::BTreeMap::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
                continue;
            }
            for edit in EditList::read(&entry.path()).unwrap_or_else(|e| panic!("{e}")).edits {
                // An edit with several files is one entry.
                let first = names.entry(edit.name.clone()).or_insert(edit.at.clone());
                assert_eq!(*first, edit.at, "two edits are named {}", edit.name);
            }
        }
    }
    assert!(names.len() > 150, "{}", names.len());
}
