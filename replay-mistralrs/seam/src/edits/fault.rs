//! A fault of the engine that a list in `fixes/` mends.

use std::fmt;

/// A fault of the engine, stated once; the edits that mend it name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Short kebab-case name.
    pub name: String,
    /// What a user sees go wrong, in one sentence.
    pub what: String,
    /// The tests of the workspace's suite that must fail without the fix, as `module::test`. Empty if no test is known to.
    pub tests: Vec<String>,
    /// Where upstream has mended the fault.
    pub mended: Mended,
    /// List and line of the entry, for error texts.
    pub at: String,
}

/// Where upstream has mended a fault, read from the source of its tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mended {
    /// The first version whose source does not have the fault.
    In(String),
    /// The newest version that was read still has it.
    No,
    /// It was not seen in the source.
    Unknown,
}

impl fmt::Display for Mended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::In(version) => f.write_str(version),
            Self::No => f.write_str("no"),
            Self::Unknown => f.write_str("not known"),
        }
    }
}
