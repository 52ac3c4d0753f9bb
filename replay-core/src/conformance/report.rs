//! The results of the checks.
use std::fmt;

use super::check::Check;

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckResult {
    /// The check passed.
    Passed,
    /// The check failed, for this reason.
    Failed(String),
    /// The check was not run, since a check that it requires did not pass.
    Skipped(Check),
}

/// The results of all checks.
#[derive(Debug, Clone)]
pub struct ConformanceReport(pub(super) Vec<(Check, CheckResult)>);

impl ConformanceReport {
    /// Whether every check passed.
    pub fn passed(&self) -> bool {
        self.0.iter().all(|(_, result)| *result == CheckResult::Passed)
    }

    /// The checks that failed.
    pub fn failed(&self) -> Vec<Check> {
        self.0.iter().filter(|(_, result)| matches!(result, CheckResult::Failed(_))).map(|(check, _)| *check).collect()
    }
}

impl fmt::Display for ConformanceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (check, result) in &self.0 {
            match result {
                CheckResult::Passed => writeln!(f, "passed   {check:?}")?,
                CheckResult::Failed(why) => writeln!(f, "FAILED   {check:?}: {why}")?,
                CheckResult::Skipped(needed) => writeln!(f, "skipped  {check:?}: needs {needed:?}")?,
            }
        }
        Ok(())
    }
}
