//! The problems found while one file is read.

use super::super::error::{ConfigError, Problem};
use super::super::position::line_column;
use super::super::shape::Mismatch;

/// Finds the table that a misplaced key or table belongs to, as the path it should have had.
pub(in crate::config) type HomeOf = fn(&str) -> Option<String>;

/// The problems of one file.
///
/// Absences are kept apart until the end: somebody who writes `stategy = "learned"` made one mistake, not the two
/// mistakes of an unknown key and a missing one.
#[derive(Debug)]
pub(in crate::config) struct Session {
    file: String,
    source: String,
    home_of: HomeOf,
    problems: Vec<Problem>,
    absences: Vec<Problem>,
    /// Paths that some unknown key was probably meant to be.
    suspected: Vec<String>,
}

impl Session {
    pub(in crate::config) fn new(file: &str, source: &str, home_of: HomeOf) -> Self {
        Self {
            file: file.to_owned(),
            source: source.to_owned(),
            home_of,
            problems: Vec::new(),
            absences: Vec::new(),
            suspected: Vec::new(),
        }
    }

    pub(in crate::config) fn report(&mut self, path: &str, mismatch: Mismatch) {
        let problem = self.problem(path, mismatch);
        self.problems.push(problem);
    }

    /// Reports that something is missing, unless a misspelt or misplaced key was probably meant to be it.
    pub(in crate::config) fn report_absence(&mut self, path: &str, mismatch: Mismatch) {
        let problem = self.problem(path, mismatch);
        self.absences.push(problem);
    }

    /// Notes that an unknown key was probably meant to be `path`.
    pub(super) fn suspect(&mut self, path: String) {
        self.suspected.push(path);
    }

    /// Whether an unknown key was probably meant to be `path` or a table around it.
    pub(in crate::config) fn is_suspected(&self, path: &str) -> bool {
        self.suspected.iter().any(|suspect| {
            path.strip_prefix(suspect.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }

    pub(super) fn home_of(&self, word: &str) -> Option<String> {
        (self.home_of)(word)
    }

    /// All problems; none if the file is right.
    ///
    /// After a syntax error the rest of the file was read as well as possible. What is missing then proves nothing,
    /// what is wrong on a line with broken syntax even less, and after a broken table header every key is in doubt.
    pub(in crate::config) fn finish(mut self, syntax: Vec<Mismatch>) -> ConfigError {
        let syntax: Vec<Problem> = syntax.into_iter().map(|mismatch| self.problem("", mismatch)).collect();
        if syntax.is_empty() {
            let absences = std::mem::take(&mut self.absences);
            let certain = absences.into_iter().filter(|absence| !self.is_suspected(&absence.path));
            let certain: Vec<Problem> = certain.collect();
            self.problems.extend(certain);
        } else {
            let line_of = |problem: &Problem| self.source.lines().nth(problem.line - 1);
            let header_broken =
                syntax.iter().any(|problem| line_of(problem).is_some_and(|line| line.trim_start().starts_with('[')));
            self.problems.retain(|problem| !header_broken && !syntax.iter().any(|other| other.line == problem.line));
            self.problems.extend(syntax);
        }
        // Stable, so that problems of the same place stay in the order they were found in.
        self.problems.sort_by_key(|problem| problem.span.start);
        ConfigError { file: self.file, source: self.source, problems: self.problems }
    }

    /// An error with this problem alone, whatever else was found.
    pub(in crate::config) fn refuse(self, path: &str, mismatch: Mismatch) -> ConfigError {
        let problem = self.problem(path, mismatch);
        ConfigError { file: self.file, source: self.source, problems: vec![problem] }
    }

    fn problem(&self, path: &str, mismatch: Mismatch) -> Problem {
        let (line, column) = line_column(&self.source, mismatch.span.start);
        Problem {
            path: path.to_owned(),
            line,
            column,
            span: mismatch.span,
            found: mismatch.found,
            expected: mismatch.expected,
            hint: mismatch.hint,
        }
    }
}
