//! Our own files that are added to the engine.

use std::{fs, path::Path};

use crate::{
    edits::Module,
    error::{Error, Result},
};

/// A file to add to the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleFile {
    /// Where it goes, relative to the engine's folder, with forward slashes.
    pub to: String,
    /// Its content.
    pub content: Vec<u8>,
    /// List and line of the entry that declares it, for error texts.
    pub at: String,
}

/// Reads what `module` names under `engine`: a file, or a folder with everything in it.
///
/// # Errors
/// [`Error::Io`] naming what could not be read.
pub(crate) fn read(engine: &Path, module: &Module) -> Result<Vec<ModuleFile>> {
    let mut files = Vec::new();
    collect(&engine.join(&module.from), &module.to, &module.at, &mut files)?;
    files.sort_by(|a, b| a.to.cmp(&b.to));
    Ok(files)
}

fn collect(from: &Path, to: &str, at: &str, files: &mut Vec<ModuleFile>) -> Result<()> {
    if !from.is_dir() {
        let content = fs::read(from).map_err(Error::io("read the module", from))?;
        files.push(ModuleFile { to: to.to_owned(), content, at: at.to_owned() });
        return Ok(());
    }
    for entry in fs::read_dir(from).map_err(Error::io("read the module folder", from))? {
        let entry = entry.map_err(Error::io("read the module folder", from))?;
        let to = format!("{to}/{}", entry.file_name().to_string_lossy());
        collect(&entry.path(), &to, at, files)?;
    }
    Ok(())
}
