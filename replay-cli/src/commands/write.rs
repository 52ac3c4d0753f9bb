//! Writes files atomically: a reader never finds an incomplete file.
use std::path::Path;

use super::exit::InputError;

/// Calls `fill` to write a temporary file beside `out`, and renames it to `out`.
pub(crate) fn atomically(out: &Path, fill: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let written = || {
        let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let scratch = tempfile::tempdir_in(folder)?;
        let file = scratch.path().join("out");
        fill(&file)?;
        Ok::<_, anyhow::Error>(std::fs::rename(file, out)?)
    };
    written().map_err(|e| InputError(format!("{}: {e}", out.display())).into())
}

/// Writes a text file atomically.
pub(crate) fn text(out: &Path, text: &str) -> anyhow::Result<()> {
    atomically(out, |file| Ok(std::fs::write(file, text)?))
}
