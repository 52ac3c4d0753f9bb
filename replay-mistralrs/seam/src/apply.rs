//! Applies modules and edits to a source tree in memory, and collects those that do not fit.

use std::collections::btree_map::Entry;

use crate::{
    edits::Edit,
    failure::{Failure, Problem},
    modules::ModuleFile,
    source::Files,
};

/// Adds the modules, then applies the edits in order. An edit that does not fit is skipped, so that one run reports all of them.
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
