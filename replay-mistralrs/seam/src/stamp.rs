//! The record by which an unchanged engine is recognised in milliseconds: the key of its inputs, and every file's size and time.

use std::{fmt::Write as _, path::Path};

use crate::tree::{Mark, Marks, Tree};

const HEADER: &str = "seam stamp 1";

/// The key of the inputs and the marks of the files made from them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) key: String,
    pub(crate) files: Marks,
}

impl Stamp {
    /// The stamp at `path`, if there is one that can be read. Without one, the contents of files are compared.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(path).ok()?;
        let mut lines = text.lines();
        if lines.next()? != HEADER {
            return None;
        }
        let key = lines.next()?.to_owned();
        let files = lines.map(parse_line).collect::<Option<_>>()?;
        Some(Self { key, files })
    }

    pub(crate) fn text(&self) -> String {
        let mut text = format!("{HEADER}\n{}\n", self.key);
        for (path, mark) in &self.files {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{} {} {path}", mark.len, mark.modified);
        }
        text
    }

    /// Whether `tree` is what was written for `key`: no file altered, lost or added.
    pub(crate) fn describes(&self, key: &str, tree: &Tree) -> bool {
        self.key == key && self.files == tree.files && tree.foreign.is_empty()
    }
}

fn parse_line(line: &str) -> Option<(String, Mark)> {
    let mut parts = line.splitn(3, ' ');
    let len = parts.next()?.parse().ok()?;
    let modified = parts.next()?.parse().ok()?;
    Some((parts.next()?.to_owned(), Mark { len, modified }))
}
