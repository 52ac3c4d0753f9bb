//! `cargo seam drop` without a compiler: what is left out, which tests run, and what is made of their results.

use std::collections::{BTreeMap, BTreeSet};

use replay_seam::{
    Error, Result,
    drop::{Group, Outcome, Row, Selection, Suite, listing, prove, select, table},
};

use crate::support::{FIXES, Fixture};

/// A second area: a fault with two tests, of which one is a fault's of the first area too, and one without a test.
const TWO: &str = r#"
[[fault]]
name = "two"
what = "Two is wrong."
tests = ["suite::one_is_right", "suite::two_is_right"]

[[fault]]
name = "three"
what = "Three is wrong."

[[edit]]
name = "second"
fault = "two"
file = "Cargo.toml"
anchor = "package"
with = "workspace"

[[edit]]
name = "third"
fault = "three"
file = "Cargo.toml"
anchor = "workspace"
with = "nothing"
"#;

fn fixture() -> Fixture {
    let f = Fixture::new();
    f.put_home("edits/fixes/two.toml", TWO);
    f
}

fn groups(selection: &Selection) -> Result<Vec<(String, Vec<String>)>> {
    let groups = select(&fixture().seam.areas()?, selection)?;
    Ok(groups.into_iter().map(|group| (group.name.clone(), group.names().into_iter().collect())).collect())
}

fn named(faults: &[&str], areas: &[&str]) -> Selection {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Selection::Named { faults: owned(faults), areas: owned(areas) }
}

fn group(name: &str, faults: &[&str]) -> (String, Vec<String>) {
    (name.to_owned(), faults.iter().map(|fault| (*fault).to_owned()).collect())
}

#[test]
fn faults_without_a_test_are_left_in() {
    let alone = [group("one", &["one"]), group("two", &["two"])];
    assert_eq!(groups(&Selection::Each).expect("groups"), alone);
    assert_eq!(groups(&Selection::Areas).expect("groups"), alone);
    assert_eq!(groups(&named(&["two"], &["one"])).expect("groups"), [group("two", &["two"]), group("one", &["one"])]);
}

#[test]
fn names_that_do_not_serve_are_refused() {
    for (selection, part) in [
        (named(&["four"], &[]), "there is no fault `four`; docs/engine-faults.md lists them"),
        (named(&[], &["four"]), "there is no area `four`; there are: one, two"),
        (named(&["three"], &[]), "no test of the suite is known for fault `three`"),
    ] {
        let Err(error @ Error::Selection(_)) = groups(&selection) else { panic!("{selection:?} is refused") };
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn an_engine_without_a_fix_lacks_its_edits_alone() {
    let f = fixture();
    let without = |fault: &str| f.seam.files_without(&BTreeSet::from([fault.to_owned()]));
    let files = without("two").expect_err("the third edit builds on the second");
    assert!(files.to_string().contains("Cargo.toml: `third` (two.toml:"), "{files}");
    let files = without("three").expect("nothing builds on it");
    assert_eq!(
        (files["Cargo.toml"].as_slice(), files["src/lib.rs"].as_slice()),
        (&b"[workspace]\n"[..], &b"one = tap(2);\n"[..])
    );
    let notes = String::from_utf8_lossy(&files["SEAM.md"]);
    assert!(notes.contains("were left in, to test the tests: `three`.") && !notes.contains("`third`"), "{notes}");
}

#[test]
fn an_engine_without_a_fix_is_another_one_on_disk() {
    let f = Fixture::new();
    let hook = crate::support::HOOK.replace("anchor = \"2\"", "anchor = \"one\"").replace("tap(2)", "tap");
    f.put_home("edits/hook/tap.toml", &hook);
    f.place().expect("placed");
    let left_out = BTreeSet::from(["one".to_owned()]);
    let placed = f.seam.place_without(&f.out(), &left_out).expect("placed");
    assert_eq!(placed.written, ["SEAM.md", "src/lib.rs"]);
    assert_eq!(f.text("src/lib.rs"), "tap = 1;\n");
    assert!(f.seam.place_without(&f.out(), &left_out).expect("placed").written.is_empty());
    assert_eq!(f.place().expect("placed").written, ["SEAM.md", "src/lib.rs"]);
    assert_eq!(f.text("src/lib.rs"), "tap = 2;\n");
}

/// Compiles unless told otherwise, and fails every test that it has no outcome for.
#[derive(Default)]
struct Fake {
    broken: BTreeSet<String>,
    outcomes: BTreeMap<String, Outcome>,
    log: Vec<String>,
}

impl Suite for Fake {
    fn compile(&mut self, group: &Group) -> Result<()> {
        self.log.push(format!("compile {}", group.name));
        if self.broken.contains(&group.name) { Err(Error::NotCompiled("cargo".into())) } else { Ok(()) }
    }

    fn run(&mut self, test: &str) -> Result<Outcome> {
        self.log.push(test.to_owned());
        Ok(self.outcomes.get(test).cloned().unwrap_or(Outcome::Failed))
    }

    fn restore(&mut self) -> Result<()> {
        self.log.push("restore".into());
        Ok(())
    }
}

fn proved(fake: &mut Fake, selection: &Selection) -> Vec<Row> {
    let groups = select(&fixture().seam.areas().expect("areas"), selection).expect("groups");
    let proof = prove(&groups, fake);
    proof.restored.expect("restored");
    proof.rows
}

#[test]
fn each_engine_runs_its_tests_and_the_whole_engine_comes_back() {
    let mut fake = Fake::default();
    let rows = proved(&mut fake, &Selection::Each);
    let (one, two) = ("suite::one_is_right", "suite::two_is_right");
    assert_eq!(fake.log, ["compile one", one, "compile two", one, two, "restore"]);
    assert!(rows.len() == 3 && rows.iter().all(|row| row.outcome.is_expected()), "{rows:?}");
}

#[test]
fn an_engine_that_does_not_compile_proves_nothing_and_the_next_one_follows() {
    let mut fake = Fake { broken: BTreeSet::from(["one".to_owned()]), ..Fake::default() };
    let rows = proved(&mut fake, &Selection::Each);
    assert_eq!(fake.log, ["compile one", "compile two", "suite::one_is_right", "suite::two_is_right", "restore"]);
    assert_eq!(rows[0].outcome, Outcome::NotRun("`cargo` failed; cargo says why above".into()));
    assert!(!rows[0].outcome.is_expected() && rows[1].outcome.is_expected());
}

#[test]
fn a_test_of_several_faults_of_an_area_runs_once() {
    let f = Fixture::new();
    let more = "\n[[fault]]\nname = \"more\"\nwhat = \"w\"\ntests = [\"suite::one_is_right\"]\n\n[[edit]]\nname = \"m\"\nfault = \"more\"\nfile = \"a\"\nanchor = \"a\"\nwith = \"\"\n";
    f.put_home("edits/fixes/one.toml", &format!("{FIXES}{more}"));
    let groups = select(&f.seam.areas().expect("areas"), &Selection::Areas).expect("groups");
    let mut fake = Fake::default();
    assert_eq!(prove(&groups, &mut fake).rows.len(), 2);
    assert_eq!(fake.log, ["compile one", "suite::one_is_right", "restore"]);
}

#[test]
fn the_table_tells_what_was_not_as_expected() {
    let outcomes = [("suite::one_is_right", Outcome::Passed), ("suite::two_is_right", Outcome::TimedOut)];
    let outcomes = outcomes.into_iter().map(|(test, outcome)| (test.to_owned(), outcome)).collect();
    let rows = proved(&mut Fake { outcomes, ..Fake::default() }, &named(&["two"], &[]));
    assert_eq!(
        table(&rows),
        "fault  test                 without the fix\n\
         two    suite::one_is_right  PASSED without the fix\n\
         two    suite::two_is_right  did not end, as if failed\n\
         1 of 2 failed as expected\n"
    );
}

#[test]
fn a_list_of_what_would_run_compiles_nothing() {
    let groups = select(&fixture().seam.areas().expect("areas"), &named(&["one"], &[])).expect("groups");
    assert_eq!(
        listing(&groups),
        "1 engine(s) to compile, some four minutes each\n\none\n  one\n    suite::one_is_right\n"
    );
}

#[test]
fn the_output_of_a_test_binary_is_read() {
    let output = |tests: usize| format!("\nrunning {tests} tests\n\ntest result: ok.\n");
    assert_eq!(Outcome::read(&output(0), true), Outcome::NoSuchTest);
    assert_eq!(Outcome::read("\nrunning 1 test\n", true), Outcome::Passed);
    assert_eq!(Outcome::read("\nrunning 1 test\n", false), Outcome::Failed);
    // A process that died before it said anything.
    assert_eq!(Outcome::read("", false), Outcome::Failed);
}
