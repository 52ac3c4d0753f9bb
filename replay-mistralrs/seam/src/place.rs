//! Writes the engine's folder with as few writes as possible: cargo compiles again what has a newer time of change.
//!
//! The lock, the stamp, the file being written and the copies of replaced files are in `.seam/` beside the engine's folder, where cargo
//! does not see them change.

use std::{
    collections::BTreeSet,
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

use crate::{
    error::{Error, Result},
    notes::NOTES,
    pinned::ENGINE,
    source::Files,
    stamp::Stamp,
    tree::{Marks, Tree},
};

/// What to do with a folder of the engine's name that this tool did not write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Make it ours: for the ignored folder of our own workspace.
    Adopt,
    /// Leave it and fail: it may hold the user's own work.
    Refuse,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The engine's folder.
    pub folder: PathBuf,
    /// Files written, relative to it.
    pub written: Vec<String>,
    /// Files removed.
    pub removed: Vec<String>,
    /// Those of the written and removed files that something else had written or altered. Copies are in [`Placed::kept_in`].
    pub altered: Vec<String>,
    /// The folder with the last altered version of each file: people try things out in the engine's folder.
    pub kept_in: PathBuf,
}

/// The folder that holds the engine's folder.
#[derive(Debug)]
pub(crate) struct Place {
    parent: PathBuf,
    engine: PathBuf,
    own: PathBuf,
}

impl Place {
    pub(crate) fn new(parent: &Path) -> Self {
        Self { parent: parent.to_owned(), engine: parent.join(ENGINE), own: parent.join(".seam") }
    }

    /// What is reported when nothing had to be done.
    pub(crate) fn untouched(&self) -> Placed {
        Placed {
            folder: self.engine.clone(),
            written: Vec::new(),
            removed: Vec::new(),
            altered: Vec::new(),
            kept_in: self.own.join("altered"),
        }
    }

    /// Whether the engine made from `key` stands here, unaltered. Reads the stamp and looks at each file's size and time.
    ///
    /// Safe without the lock: while another process writes, the sizes and times differ from the stamp, or its key does.
    pub(crate) fn is_current(&self, key: &str) -> bool {
        Stamp::read(&self.stamp())
            .is_some_and(|stamp| Tree::walk(&self.engine).is_ok_and(|tree| stamp.describes(key, &tree)))
    }

    /// Writes what differs from `files` and removes what is not among them.
    pub(crate) fn write(&self, files: &Files, key: &str, existing: Existing) -> Result<Placed> {
        // Another process that is writing may not have written the notes yet: look again with the lock held.
        if !self.own.is_dir() {
            self.check(existing)?;
        }
        let _lock = self.lock()?;
        self.check(existing)?;
        fs::create_dir_all(&self.engine).map_err(Error::io("create the folder", &self.engine))?;

        let mut placed = self.untouched();
        let old = Stamp::read(&self.stamp()).map(|stamp| stamp.files).unwrap_or_default();
        let tree = Tree::walk(&self.engine)?;
        self.prune(files, &old, &tree, &mut placed)?;
        for (inside, content) in files {
            let path = self.engine.join(inside);
            if !holds(&path, content) {
                if tree.files.get(inside) != old.get(inside) {
                    self.keep(inside, &mut placed)?;
                }
                self.replace(&path, content)?;
                placed.written.push(inside.clone());
            }
        }
        let stamp = Stamp { key: key.to_owned(), files: Tree::walk(&self.engine)?.files };
        self.replace(&self.stamp(), stamp.text().as_bytes())?;
        Ok(placed)
    }

    fn stamp(&self) -> PathBuf {
        self.own.join("stamp")
    }

    fn check(&self, existing: Existing) -> Result<()> {
        let occupied = |found| Err(Error::Occupied { path: self.engine.clone(), found });
        let Ok(meta) = fs::symlink_metadata(&self.engine) else {
            return Ok(());
        };
        // Pruning would follow a link and empty another folder.
        if !meta.is_dir() {
            return occupied("exists and is not a folder");
        }
        let ours = self.engine.join(NOTES).is_file();
        let empty = || fs::read_dir(&self.engine).is_ok_and(|mut entries| entries.next().is_none());
        if existing == Existing::Refuse && !ours && !empty() {
            return occupied("exists and was not written by this tool (it has no SEAM.md)");
        }
        Ok(())
    }

    /// Takes the lock until the file is dropped: two cargo commands started at once must not write the same files.
    fn lock(&self) -> Result<File> {
        fs::create_dir_all(&self.parent).map_err(Error::io("create the folder", &self.parent))?;
        fs::create_dir_all(&self.own).map_err(Error::io("create the folder", &self.own))?;
        let ignore = self.own.join(".gitignore");
        if !ignore.exists() {
            fs::write(&ignore, "*\n").map_err(Error::io("write", &ignore))?;
        }
        let path = self.own.join("lock");
        let file = File::create(&path).map_err(Error::io("open the lock", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                eprintln!("seam: waiting for another process that writes {}", self.engine.display());
                file.lock().map_err(Error::io("take the lock", &path))?;
            }
            Err(TryLockError::Error(source)) => {
                return Err(Error::io("take the lock", &path)(source));
            }
        }
        Ok(file)
    }

    /// Removes files that are not wanted, then folders in which no wanted file is.
    fn prune(&self, wanted: &Files, old: &Marks, tree: &Tree, placed: &mut Placed) -> Result<()> {
        for path in &tree.foreign {
            fs::remove_file(path).map_err(Error::io("remove", path))?;
            placed.removed.push(path.display().to_string());
        }
        for (inside, mark) in tree.files.iter().filter(|(inside, _)| !wanted.contains_key(*inside)) {
            if old.get(inside) != Some(mark) {
                self.keep(inside, placed)?;
            }
            let path = self.engine.join(inside);
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
            placed.removed.push(inside.clone());
        }
        let needed: BTreeSet<&str> = wanted.keys().flat_map(|inside| parents(inside)).collect();
        for folder in tree.folders.iter().rev().filter(|folder| !needed.contains(folder.as_str())) {
            let path = self.engine.join(folder);
            fs::remove_dir(&path).map_err(Error::io("remove", &path))?;
        }
        Ok(())
    }

    /// Keeps a copy of a file that is about to be replaced and was altered since it was written, unless it is gone.
    fn keep(&self, inside: &str, placed: &mut Placed) -> Result<()> {
        let from = self.engine.join(inside);
        if !from.is_file() {
            return Ok(());
        }
        let to = placed.kept_in.join(inside);
        let folder = to.parent().unwrap_or(&placed.kept_in);
        fs::create_dir_all(folder).map_err(Error::io("create the folder", folder))?;
        fs::copy(&from, &to).map_err(Error::io("keep a copy as", &to))?;
        placed.altered.push(inside.to_owned());
        Ok(())
    }

    /// Writes a temporary file and renames it, so that no reader sees half a file. Needs the lock: there is one temporary file.
    fn replace(&self, path: &Path, content: &[u8]) -> Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(Error::io("create the folder", folder))?;
        }
        let fresh = self.own.join("new");
        fs::write(&fresh, content).map_err(Error::io("write", &fresh))?;
        fs::rename(&fresh, path).map_err(Error::io("write", path))
    }
}

fn holds(path: &Path, content: &[u8]) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.len() == content.len() as u64)
        && fs::read(path).is_ok_and(|found| found == content)
}

/// The folders above a path with forward slashes.
fn parents(inside: &str) -> impl Iterator<Item = &str> {
    inside.match_indices('/').map(|(at, _)| &inside[..at])
}
