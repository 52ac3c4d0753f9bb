//! Reads images of this machine, below the directory that requests may use.
use std::path::Path;

use super::{Media, too_large};
use crate::serve::error::ApiError;

impl Media {
    pub(super) async fn read_local(&self, path: &Path) -> Result<Vec<u8>, ApiError> {
        let root = self.root.as_ref().ok_or_else(refused_path)?;
        let not_found = || ApiError::invalid("image_not_found", "there is no such image on this server");
        // Symbolic links are resolved in both paths, so that the file itself has to lie below the root. The error is the same for every
        // other path, so that it does not reveal which files exist.
        let file = root.join(path).canonicalize().ok().filter(|file| file.starts_with(root) && file.is_file());
        let file = file.ok_or_else(not_found)?;
        let size = tokio::fs::metadata(&file).await.map_or(u64::MAX, |meta| meta.len());
        if size > self.max_bytes as u64 {
            return Err(too_large(self.max_bytes));
        }
        tokio::fs::read(&file).await.map_err(|_| not_found())
    }
}

pub(super) fn refused_path() -> ApiError {
    ApiError::invalid("local_path_refused", "this server reads no local files: send images as data: URLs")
}
