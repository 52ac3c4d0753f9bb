//! The problems of a configuration file, all at once, each with its place and a hint.

use std::error::Error;
use std::fmt;
use std::ops::Range;

use schemars::JsonSchema;
use serde::Serialize;

/// A configuration that was refused, with all of its problems.
///
/// The whole source text is kept, so that a program can print the offending lines with markers under them
/// (the spans of [`Problem`] are byte ranges into `source`). `Display` prints one line per problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ConfigError {
    /// The file, as the user named it.
    pub file: String,
    /// The text of the file; empty if it could not be read.
    pub source: String,
    /// Every problem, in the order of the file. Never empty.
    pub problems: Vec<Problem>,
}

/// One problem in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Problem {
    /// The key concerned, with the tables it lies in: `replay.rank.fraction_of_max`. Empty for a syntax error.
    pub path: String,
    /// Line, counted from 1.
    pub line: usize,
    /// Column, counted from 1, in characters rather than bytes.
    pub column: usize,
    /// The offending bytes of the source. For something absent: the header of the table it is missing from.
    pub span: Range<usize>,
    /// What the file has there.
    pub found: String,
    /// What is valid there.
    pub expected: String,
    /// The nearest valid key or value, or another way to fix the file.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "expected {}, found {}", self.expected, self.found)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{}:{problem}", self.file)?;
        }
        Ok(())
    }
}

impl Error for ConfigError {}
