//! Source tree + modules + edits -> source tree, or everything that does not fit. Touches no disk.

use std::{collections::btree_map::Entry, fmt};

use crate::{edits::Edit, modules::ModuleFile, source::Files};

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

/// Adds the modules, then applies the edits in order. An edit that fails is skipped, so that one run tells all that is wrong.
///
/// # Errors
/// Every entry that does not fit.
pub fn apply<'a>(
    mut files: Files,
    modules: impl IntoIterator<Item = &'a ModuleFile>,
    edits: impl IntoIterator<Item = &'a Edit>,
) -> Result<Files, Vec<Failure>> {
    let mut failures = Vec::new();
    for module in modules {
        match files.entry(module.to.clone()) {
            Entry::Vacant(free) => {
                free.insert(module.content.clone());
            }
            Entry::Occupied(_) => failures.push(Failure {
                file: module.to.clone(),
                entry: module.to.clone(),
                at: module.at.clone(),
                problem: Problem::Taken,
            }),
        }
    }
    for edit in edits {
        if let Err(problem) = apply_one(&mut files, edit) {
            failures.push(Failure { file: edit.file.clone(), entry: edit.name.clone(), at: edit.at.clone(), problem });
        }
    }
    if failures.is_empty() { Ok(files) } else { Err(failures) }
}

pub(crate) fn apply_one(files: &mut Files, edit: &Edit) -> Result<(), Problem> {
    let content = files.get_mut(&edit.file).ok_or(Problem::NoSuchFile)?;
    let text = std::str::from_utf8(content).map_err(|_| Problem::NotText)?;
    let found = text.matches(&edit.anchor).count();
    if found != edit.count {
        let anchor = edit.anchor.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        return Err(Problem::Count { expected: edit.count, found, anchor: anchor.to_owned() });
    }
    *content = text.replace(&edit.anchor, &edit.with).into_bytes();
    Ok(())
}
