//! The images of a data set: files, each of which is hashed once, and bytes in the lines themselves.
use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use blake3::{Hash, Hasher};

use super::picture::ItemImage;
use crate::media::embedded;

/// The hashes of the image files that lines have named so far.
pub(super) struct Images<'a> {
    folder: &'a Path,
    /// The hash of each file's bytes, or a description of what is there instead of a readable file.
    hashes: HashMap<PathBuf, Result<Hash, String>>,
}

impl<'a> Images<'a> {
    /// Images whose paths are relative to `folder`.
    pub(super) fn new(folder: &'a Path) -> Self {
        Self { folder, hashes: HashMap::new() }
    }

    /// An image and the hash of its bytes: a file, or bytes in base64 or as a data URL. The error describes what is there instead.
    pub(super) fn find(&mut self, name: &str) -> Result<(ItemImage, Hash), String> {
        if let Some(bytes) = embedded(name) {
            let hash = blake3::hash(&bytes);
            return Ok((ItemImage::Bytes(bytes.into()), hash));
        }
        // An error names no more of what may be a broken image than a path has.
        if name.len() > 1024 {
            return Err(format!(
                "a text of {} characters that is neither a path nor an image in base64",
                name.chars().count()
            ));
        }
        let path = self.folder.join(name);
        match self.hashes.entry(path.clone()).or_insert_with(|| hash(&path)) {
            Ok(hash) => Ok((ItemImage::File(path), *hash)),
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
