//! The files on disk with their sizes and times of change, which tell whether a file has changed without reading it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use crate::error::{Error, Result};

/// Cargo's output, if cargo was run inside the engine's folder. It is neither compared nor removed.
const BUILD_OUTPUT: &str = "target";

/// Size in bytes and time of change in nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) len: u64,
    pub(crate) modified: u128,
}

/// Regular files by path, with forward slashes, relative to the engine's folder.
pub(crate) type Marks = BTreeMap<String, Mark>;

/// What is in the engine's folder.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) files: Marks,
    /// Folders, parents before children.
    pub(crate) folders: Vec<String>,
    /// Links and other things that the tool never makes.
    pub(crate) foreign: Vec<PathBuf>,
}

impl Tree {
    /// Walks `root`, which must be a folder.
    pub(crate) fn walk(root: &Path) -> Result<Self> {
        let mut tree = Self::default();
        tree.visit(root, "")?;
        Ok(tree)
    }

    fn visit(&mut self, folder: &Path, prefix: &str) -> Result<()> {
        for entry in fs::read_dir(folder).map_err(Error::io("list the folder", folder))? {
            let entry = entry.map_err(Error::io("list the folder", folder))?;
            let path = entry.path();
            let meta = entry.metadata().map_err(Error::io("look at", &path))?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                self.foreign.push(path);
                continue;
            };
            let inside = format!("{prefix}{name}");
            if meta.is_dir() {
                if inside != BUILD_OUTPUT {
                    self.folders.push(inside.clone());
                    self.visit(&path, &format!("{inside}/"))?;
                }
            } else if meta.is_file() {
                let modified = meta.modified().map_err(Error::io("look at", &path))?;
                let modified = modified.duration_since(UNIX_EPOCH).map_or(0, |age| age.as_nanos());
                self.files.insert(inside, Mark { len: meta.len(), modified });
            } else {
                self.foreign.push(path);
            }
        }
        Ok(())
    }
}
