//! Reads lists of edits.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::check::ListText;
use super::list::EditList;
use crate::error::{Error, Result};

/// The lists at `path`: the file itself, or the `.toml` files of a folder in the order of their names.
///
/// # Errors
/// [`Error::Io`] if the folder cannot be read.
pub(crate) fn list_files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(Error::io("list the folder", path))? {
        files.push(entry.map_err(Error::io("list the folder", path))?.path());
    }
    files.retain(|file| file.extension().is_some_and(|kind| kind == "toml"));
    files.sort();
    Ok(files)
}

impl EditList {
    /// Reads a list.
    ///
    /// # Errors
    /// [`Error::EditFile`] with the line, for bad syntax, unknown or missing keys, values that make no sense, and faults and edits that
    /// do not match.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(Error::io("read", path))?;
        Self::parse(path, &text)
    }

    /// Like [`EditList::read`], for text already read from `path`. The folder of `path` decides what an edit needs: a fault in `fixes/`,
    /// and a `why` elsewhere.
    ///
    /// # Errors
    /// As [`EditList::read`].
    pub fn parse(path: &Path, text: &str) -> Result<Self> {
        ListText::new(path, text).parse()
    }
}
