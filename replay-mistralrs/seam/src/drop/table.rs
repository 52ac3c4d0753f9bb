//! Tables for people.

use crate::drop::{Group, Row};

/// What would be compiled and run.
#[must_use]
pub fn listing(groups: &[Group]) -> String {
    let mut text = format!("{} engine(s) to compile, some four minutes each\n", groups.len());
    for group in groups {
        text.push_str(&format!("\n{}\n", group.name));
        for fault in &group.faults {
            text.push_str(&format!("  {}\n", fault.name));
            for test in &fault.tests {
                text.push_str(&format!("    {test}\n"));
            }
        }
    }
    text
}

/// The results, and how many are as expected.
#[must_use]
pub fn table(rows: &[Row]) -> String {
    let width =
        |of: fn(&Row) -> &str, heading: &str| rows.iter().map(|row| of(row).len()).fold(heading.len(), usize::max);
    let (fault, test) = (width(|row| &row.fault, "fault"), width(|row| &row.test, "test"));
    let mut text = format!("{:<fault$}  {:<test$}  without the fix\n", "fault", "test");
    for row in rows {
        text.push_str(&format!("{:<fault$}  {:<test$}  {}\n", row.fault, row.test, row.outcome));
    }
    let expected = rows.iter().filter(|row| row.outcome.is_expected()).count();
    text.push_str(&format!("{expected} of {} failed as expected\n", rows.len()));
    text
}
