//! The lists of this repository fit the engine's published source. Fetches it if cargo has not yet.

use std::collections::{BTreeMap, BTreeSet};

use replay_seam::{EditList, Fault, PAGE, Seam, Variant};

fn faults() -> Vec<Fault> {
    let areas = Seam::of_this_repository().areas().unwrap_or_else(|e| panic!("{e}"));
    areas.into_iter().flat_map(|area| area.faults).collect()
}

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
    let (mut folders, mut names) = (vec![Seam::of_this_repository().home.join("edits")], BTreeMap::new());
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

#[test]
fn a_fault_is_known_by_its_name_in_all_areas() {
    let mut names = BTreeMap::new();
    for fault in faults() {
        let second = names.insert(fault.name.clone(), fault.at.clone());
        assert!(second.is_none(), "two faults are named {}: {second:?} and {}", fault.name, fault.at);
    }
    assert!(names.len() > 60, "{}", names.len());
}

#[test]
fn every_test_of_a_fault_is_in_the_suite() {
    let tests = Seam::of_this_repository().workspace().join("tests");
    for fault in faults() {
        for test in &fault.tests {
            let (module, name) = test.rsplit_once("::").expect("a module");
            let file = tests.join(module.replace("::", "/")).with_extension("rs");
            let text =
                std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {}: {e}", fault.at, file.display()));
            assert!(text.contains(&format!("\nfn {name}() {{")), "{}: no test {name} in {}", fault.at, file.display());
        }
    }
}

#[test]
fn every_fix_that_has_a_test_can_be_left_out() {
    let seam = Seam::of_this_repository();
    let whole = seam.files(Variant::Hooked).unwrap_or_else(|e| panic!("{e}"));
    let without = |faults: Vec<Fault>| {
        let tested = faults.into_iter().filter(|fault| !fault.tests.is_empty());
        let names: BTreeSet<String> = tested.map(|fault| fault.name).collect();
        let files = seam.files_without(&names).unwrap_or_else(|e| panic!("{names:?}: {e}"));
        let sources = |(file, content): &(&String, &Vec<u8>)| file.starts_with("src/") && whole[*file] != **content;
        assert!(names.is_empty() || files.iter().filter(sources).count() > 0, "{names:?} change nothing");
    };
    std::thread::scope(|scope| {
        for area in seam.areas().unwrap_or_else(|e| panic!("{e}")) {
            scope.spawn(|| {
                without(area.faults.clone());
                area.faults.into_iter().for_each(|fault| without(vec![fault]));
            });
        }
    });
}

#[test]
fn the_page_about_faults_is_fresh() {
    let seam = Seam::of_this_repository();
    let found = std::fs::read_to_string(seam.workspace().join(PAGE)).unwrap_or_default();
    let wanted = seam.faults_page().unwrap_or_else(|e| panic!("{e}"));
    assert!(found == wanted, "{PAGE} is stale; run: cargo seam faults --write {PAGE}");
}
