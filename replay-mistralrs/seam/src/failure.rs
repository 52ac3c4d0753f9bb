//! An entry of the lists that does not fit the source, and why.

use std::fmt;

/// An entry that does not fit the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The engine's file.
    pub file: String,
    /// The edit's name, or the module's target.
    pub entry: String,
    /// List and line of the entry.
    pub at: String,
    /// What does not fit.
    pub problem: Problem,
}

/// Why an entry does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The anchor occurs another number of times.
    Count {
        /// What the entry declares.
        expected: usize,
        /// What the source holds.
        found: usize,
        /// First line of the anchor.
        anchor: String,
    },
    /// The engine has no such file.
    NoSuchFile,
    /// The file is not UTF-8.
    NotText,
    /// A module would replace a file that is already there.
    Taken,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: `{}` ({}): ", self.file, self.entry, self.at)?;
        match &self.problem {
            Problem::Count { expected, found, anchor } => {
                write!(f, "expected the anchor {expected} time(s), found it {found} time(s); it begins `{anchor}`")
            }
            Problem::NoSuchFile => write!(f, "expected this file in the engine, found none"),
            Problem::NotText => write!(f, "expected UTF-8 text, found other bytes"),
            Problem::Taken => write!(f, "expected a free place for the module, found a file"),
        }
    }
}
