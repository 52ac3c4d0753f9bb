//! The problems of a data set.
use std::fmt;
use std::path::{Path, PathBuf};

/// One problem in a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataError {
    /// The file, as the user named it.
    pub file: PathBuf,
    /// The line, counted from 1; `None` if the problem concerns the whole file.
    pub line: Option<usize>,
    /// The key; `None` if the problem concerns the whole line.
    pub key: Option<String>,
    /// What is valid there.
    pub expected: String,
    /// What the file has there.
    pub found: String,
    /// The nearest valid key, or another way to fix the line.
    pub hint: Option<String>,
}

impl DataError {
    pub(super) fn of_file(file: &Path, expected: &str, found: impl ToString) -> Self {
        LineError::new(None, expected, found).in_file(file, None)
    }
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        if let Some(key) = &self.key {
            write!(f, " {key}:")?;
        }
        write!(f, " expected {}, found {}", self.expected, self.found)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for DataError {}

/// A problem of one line, without the file and the line's number.
#[derive(Debug)]
pub(super) struct LineError {
    key: Option<String>,
    expected: String,
    found: String,
    hint: Option<String>,
}

impl LineError {
    pub(super) fn new(key: Option<&str>, expected: impl Into<String>, found: impl ToString) -> Self {
        Self { key: key.map(str::to_owned), expected: expected.into(), found: found.to_string(), hint: None }
    }

    pub(super) fn hint(mut self, hint: Option<impl Into<String>>) -> Self {
        self.hint = hint.map(Into::into);
        self
    }

    pub(super) fn at(self, file: &Path, line: usize) -> DataError {
        self.in_file(file, Some(line))
    }

    fn in_file(self, file: &Path, line: Option<usize>) -> DataError {
        let Self { key, expected, found, hint } = self;
        DataError { file: file.to_owned(), line, key, expected, found, hint }
    }
}
