//! What came of a test that runs without its fix.

use std::fmt;

/// What came of a test that runs without its fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It failed, as it must.
    Failed,
    /// It did not end in time: some faults hang the engine.
    TimedOut,
    /// It passed: it does not test the fix.
    Passed,
    /// The suite has no test of that name.
    NoSuchTest,
    /// It was not run, for this reason.
    NotRun(String),
}

impl Outcome {
    /// Reads the outcome from the output of a test binary that was asked for one test by its exact name, and from whether it succeeded.
    #[must_use]
    pub fn read(output: &str, succeeded: bool) -> Self {
        match (output.lines().any(|line| line == "running 0 tests"), succeeded) {
            (true, _) => Self::NoSuchTest,
            (false, true) => Self::Passed,
            // Also when the process died in the middle.
            (false, false) => Self::Failed,
        }
    }

    /// Whether this shows that the test tests the fix.
    #[must_use]
    pub fn is_expected(&self) -> bool {
        matches!(self, Self::Failed | Self::TimedOut)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed => f.write_str("failed, as expected"),
            Self::TimedOut => f.write_str("did not end, as if failed"),
            Self::Passed => f.write_str("PASSED without the fix"),
            Self::NoSuchTest => f.write_str("NO SUCH TEST"),
            Self::NotRun(why) => write!(f, "NOT RUN: {}", why.lines().next().unwrap_or_default()),
        }
    }
}
