//! `docs/engine-faults.md`: every fault that the lists in `fixes/` mend, its tests and its upstream fix.

use crate::{
    edits::{EditList, Fault, Mended},
    pinned::{ENGINE, NEWEST_READ, VERSION},
};

/// Where the page is kept, relative to the workspace's root.
pub const PAGE: &str = "docs/engine-faults.md";

/// The page for these lists.
#[must_use]
pub(crate) fn page(areas: &[EditList]) -> String {
    let all = || areas.iter().flat_map(|area| &area.faults);
    let tested = all().filter(|fault| !fault.tests.is_empty()).count();
    let mut text = format!(
        "# Faults of the engine\n\n\
         {ENGINE} {VERSION} has {} faults that `cargo seam` mends. {tested} of them name tests\n\
         that must fail without the fix; they were chosen by reading, and `cargo seam drop` shows whether they do.\n\n\
         This page is generated from the lists in [edits/fixes](../replay-mistralrs/seam/edits/fixes). After a change there, run\n\
         `cargo seam faults --write {PAGE}`.\n\n\
         ## Upstream\n\n\
         The column \"mended\" names the first version whose source does not have the fault; \"no\" means that {NEWEST_READ} still has it, and\n\
         \"not known\" that this was not seen in its source. The tags were read, not run.\n\n\
         | mended | faults |\n|---|---|\n",
        all().count(),
    );
    for (mended, count) in counts(all()) {
        text.push_str(&format!("| {mended} | {count} |\n"));
    }
    text.push_str(DROP);
    for area in areas {
        text.push_str(&format!(
            "\n## `{0}`\n\n[{0}.toml](../replay-mistralrs/seam/edits/fixes/{0}.toml)\n\n\
             | fault | what goes wrong | must fail without the fix | mended |\n|---|---|---|---|\n",
            area.name
        ));
        for fault in &area.faults {
            text.push_str(&format!("| `{}` | {} | {} | {} |\n", fault.name, fault.what, tests(fault), fault.mended));
        }
    }
    text
}

const DROP: &str = "
## Testing the tests

`cargo seam drop` makes an engine without the fix of a fault, runs the fault's tests and expects them to fail. Each engine compiles for some
four minutes, so this is for whoever changes a fix or a test, and not a part of CI. Run it in the workspace's root.

| command | what it does |
|---|---|
| `cargo seam drop FAULT...` | one engine for each named fault |
| `cargo seam drop --area AREA` | one engine without all fixes of an area that have a test. Quicker and weaker: a test may fail for another fault of the area, or pass because another missing fix hides its own |
| `cargo seam drop --areas` | the same for every area, one after the other |
| `cargo seam drop` | one engine for each fault that has a test; this takes hours |
| `cargo seam drop --list ...` | only says which engines it would compile and which tests it would run |

It prints a table, and exits with 1 if a test passes without its fix or an engine does not compile. What the tests said is in
`.engine/without/logs`.

The engine without a fix stands in `.engine/without`; the one in `.engine/mistralrs-core` is not touched. At the end, also after an error,
the programs in `target` are built with the whole engine again. If the command is killed, do that by hand:
`cargo seam test --test suite --no-run`.
";

/// How many faults have each value, versions first and in order.
fn counts<'a>(faults: impl Iterator<Item = &'a Fault>) -> Vec<(Mended, usize)> {
    let mut counts: Vec<(Mended, usize)> = Vec::new();
    for fault in faults {
        match counts.iter_mut().find(|(mended, _)| *mended == fault.mended) {
            Some((_, count)) => *count += 1,
            None => counts.push((fault.mended.clone(), 1)),
        }
    }
    counts.sort_by_key(|(mended, _)| match mended {
        Mended::In(version) => (0, version.split('.').map(|part| part.parse().unwrap_or(0)).collect::<Vec<u32>>()),
        Mended::No => (1, Vec::new()),
        Mended::Unknown => (2, Vec::new()),
    });
    counts
}

fn tests(fault: &Fault) -> String {
    if fault.tests.is_empty() {
        return "no test".to_owned();
    }
    let tests: Vec<String> = fault.tests.iter().map(|test| format!("`{test}`")).collect();
    tests.join("<br>")
}
