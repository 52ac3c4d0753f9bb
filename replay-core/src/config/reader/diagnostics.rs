//! The problems found while one file is read.

use super::super::error::{ConfigError, Problem};
use super::super::position::line_column;
use super::super::shape::Diagnostic;

/// Finds the table that a misplaced key or table belongs to, as the path it should have had.
pub(in crate::config) type HomeOf = fn(&str) -> Option<String>;

/// The problems of one file.
///
/// Absent keys are collected separately until the end, so that `stategy = "learned"` is reported as one problem and not
/// as an unknown key and a missing key.
#[derive(Debug)]
pub(in crate::config) struct Diagnostics {
    file: String,
    source: String,
    home_of: HomeOf,
    problems: Vec<Problem>,
    absences: Vec<Problem>,
    /// Paths of which some unknown key is probably a misspelt or misplaced form.
    suspected: Vec<String>,
}

impl Diagnostics {
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

    pub(in crate::config) fn report(&mut self, path: &str, diagnostic: Diagnostic) {
        let problem = self.problem(path, diagnostic);
        self.problems.push(problem);
    }

    /// Reports an absent key, unless an unknown key is probably a misspelt or misplaced form of it.
    pub(in crate::config) fn report_absence(&mut self, path: &str, diagnostic: Diagnostic) {
        let problem = self.problem(path, diagnostic);
        self.absences.push(problem);
    }

    /// Records that an unknown key is probably a misspelt or misplaced form of `path`.
    pub(super) fn suspect(&mut self, path: String) {
        self.suspected.push(path);
    }

    /// Whether an unknown key is probably a misspelt or misplaced form of `path` or of a table around it.
    pub(in crate::config) fn is_suspected(&self, path: &str) -> bool {
        self.suspected.iter().any(|suspect| {
            path.strip_prefix(suspect.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }

    pub(super) fn home_of(&self, word: &str) -> Option<String> {
        (self.home_of)(word)
    }

    /// All problems; none if the file is valid.
    ///
    /// After a syntax error the parser recovers as much of the file as it can. A key may then be absent because of that
    /// error, so absent keys are not reported, nor are other problems on the line of a syntax error; if a table header is
    /// broken, only syntax errors are reported.
    pub(in crate::config) fn finish(mut self, syntax: Vec<Diagnostic>) -> ConfigError {
        let syntax: Vec<Problem> = syntax.into_iter().map(|diagnostic| self.problem("", diagnostic)).collect();
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
        // The sort is stable: problems at the same place stay in the order in which they were found.
        self.problems.sort_by_key(|problem| problem.span.start);
        ConfigError { file: self.file, source: self.source, problems: self.problems }
    }

    /// An error with this problem only.
    pub(in crate::config) fn refuse(self, path: &str, diagnostic: Diagnostic) -> ConfigError {
        let problem = self.problem(path, diagnostic);
        ConfigError { file: self.file, source: self.source, problems: vec![problem] }
    }

    fn problem(&self, path: &str, diagnostic: Diagnostic) -> Problem {
        let (line, column) = line_column(&self.source, diagnostic.span.start);
        Problem {
            path: path.to_owned(),
            line,
            column,
            span: diagnostic.span,
            found: diagnostic.found,
            expected: diagnostic.expected,
            hint: diagnostic.hint,
        }
    }
}
