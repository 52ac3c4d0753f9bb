//! Image files of a data set: found, and hashed once however many lines name them.
use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use blake3::{Hash, Hasher};

/// The image files seen so far.
pub(super) struct Images<'a> {
    folder: &'a Path,
    /// Hash of the bytes, or what stands there in place of a readable file.
    seen: HashMap<PathBuf, Result<Hash, String>>,
}

impl<'a> Images<'a> {
    /// Of paths relative to `folder`.
    pub(super) fn new(folder: &'a Path) -> Self {
        Self { folder, seen: HashMap::new() }
    }

    /// The file of that name with the hash of its bytes, or what was found in its place.
    pub(super) fn find(&mut self, name: &str) -> Result<(PathBuf, Hash), String> {
        let path = self.folder.join(name);
        match self.seen.entry(path.clone()).or_insert_with(|| hash(&path)) {
            Ok(hash) => Ok((path, *hash)),
            Err(found) => Err(format!("{} at {}", found, path.display())),
        }
    }
}

fn hash(path: &Path) -> Result<Hash, String> {
    match path.metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err("nothing".into()),
        Ok(metadata) if !metadata.is_file() => return Err("no regular file".into()),
        _ => {}
    }
    let mut hasher = Hasher::new();
    let hashed = File::open(path).and_then(|file| hasher.update_reader(file).map(|hasher| hasher.finalize()));
    hashed.map_err(|error| format!("an unreadable file ({error})"))
}
