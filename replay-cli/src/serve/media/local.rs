//! Images of this machine, below the directory that requests may name something in.
use std::path::Path;

use super::{Media, too_large};
use crate::serve::error::ApiError;

impl Media {
    pub(super) async fn local(&self, path: &Path) -> Result<Vec<u8>, ApiError> {
        let root = self.root.as_ref().ok_or_else(refused_path)?;
        // Links resolved on both sides: what counts is where the file is.
        let found = root.join(path).canonicalize().ok().filter(|found| found.starts_with(root) && found.is_file());
        // Whether something else is there must not be told.
        let found =
            found.ok_or_else(|| ApiError::invalid("image_not_found", "there is no such image on this server"))?;
        let size = tokio::fs::metadata(&found).await.map_or(u64::MAX, |meta| meta.len());
        if size > self.max_bytes as u64 {
            return Err(too_large(self.max_bytes));
        }
        tokio::fs::read(&found)
            .await
            .map_err(|_| ApiError::invalid("image_not_found", "there is no such image on this server"))
    }
}

pub(super) fn refused_path() -> ApiError {
    ApiError::invalid("local_path_refused", "this server reads no local files: send images as data: URLs")
}
