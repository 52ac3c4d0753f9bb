//! Files are written whole or not at all: a reader never finds half of one.
use std::path::Path;

use super::exit::InputError;

/// Lets `fill` write a file beside `out`, and puts it in place.
pub(crate) fn whole(out: &Path, fill: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let written = || {
        let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let scratch = tempfile::tempdir_in(folder)?;
        let file = scratch.path().join("out");
        fill(&file)?;
        Ok::<_, anyhow::Error>(std::fs::rename(file, out)?)
    };
    written().map_err(|e| InputError(format!("{}: {e}", out.display())).into())
}

/// The same for text.
pub(crate) fn text(out: &Path, text: &str) -> anyhow::Result<()> {
    whole(out, |file| Ok(std::fs::write(file, text)?))
}
