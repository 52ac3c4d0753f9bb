//! Leaves fixes out, group by group, and looks at what their tests do.

use std::collections::BTreeMap;

use super::outcome::Outcome;
use super::select::Group;
use crate::error::Result;

/// What can compile the test suite with an engine that lacks some fixes, and run one test of it.
pub trait Suite {
    /// Compiles the suite with an engine without the fixes of the group's faults.
    ///
    /// # Errors
    /// When that engine cannot be made or does not compile.
    fn compile(&mut self, group: &Group) -> Result<()>;

    /// Runs one test of the suite that was compiled last.
    ///
    /// # Errors
    /// When the test cannot be started.
    fn run(&mut self, test: &str) -> Result<Outcome>;

    /// Builds with the whole engine again.
    ///
    /// # Errors
    /// When that fails.
    fn restore(&mut self) -> Result<()>;
}

/// A test of a fault, and what came of it without the fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The fault's name.
    pub fault: String,
    /// The test's name, with its module.
    pub test: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of leaving fixes out.
#[derive(Debug)]
pub struct Proof {
    /// A row for each test of each fault, in the order of the groups.
    pub rows: Vec<Row>,
    /// Whether the whole engine was put back.
    pub restored: Result<()>,
}

/// Goes through the groups. Where one does not compile or a test cannot be run, its rows say so, and the next group follows. The whole
/// engine is put back in any case.
pub fn prove(groups: &[Group], suite: &mut impl Suite) -> Proof {
    let rows = groups.iter().flat_map(|group| prove_group(group, suite)).collect();
    Proof { rows, restored: suite.restore() }
}

fn prove_group(group: &Group, suite: &mut impl Suite) -> Vec<Row> {
    let compiled = suite.compile(group).map_err(|e| e.to_string());
    let mut outcomes = BTreeMap::new();
    let mut rows = Vec::new();
    for fault in &group.faults {
        for test in &fault.tests {
            let run = || match &compiled {
                Ok(()) => suite.run(test).unwrap_or_else(|e| Outcome::NotRun(e.to_string())),
                Err(why) => Outcome::NotRun(why.clone()),
            };
            // A test of several faults runs once.
            let outcome = outcomes.entry(test).or_insert_with(run).clone();
            rows.push(Row { fault: fault.name.clone(), test: test.clone(), outcome });
        }
    }
    rows
}
