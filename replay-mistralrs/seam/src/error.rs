//! What can go wrong. Every text says what was expected, what was found and what to do next.

use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// An error of the seam's tool.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb: `read`, `write`, `create the folder`.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },

    /// A list of edits is not well formed.
    #[error("{}:{line}: {message}", path.display())]
    EditFile {
        /// The list.
        path: PathBuf,
        /// The line with the mistake, counted from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },

    /// The lock file does not pin the engine as it must.
    #[error(
        "{}: expected exactly one `{name}` {version} with a registry checksum, found {found}; \
         the edits are written for that source only: restore the committed Cargo.lock", path.display()
    )]
    Lock {
        /// The lock file of this tool.
        path: PathBuf,
        /// The engine's crate.
        name: &'static str,
        /// The version that the edits are written for.
        version: &'static str,
        /// What the lock file says instead.
        found: String,
    },

    /// Cargo has not downloaded the engine's source.
    #[error(
        "no {file} in any folder of {}; fetch it with `cargo fetch --locked --manifest-path {}` while online \
         (a cargo set up with vendored sources keeps no archives: the seam needs the archive itself)",
        searched.display(), manifest.display()
    )]
    MissingArchive {
        /// Name of the archive.
        file: String,
        /// The registry cache that was searched.
        searched: PathBuf,
        /// The manifest whose fetch brings it.
        manifest: PathBuf,
    },

    /// The archive in the cache is not the one that was published.
    #[error(
        "{}: expected sha256 {expected} (from Cargo.lock), found {found}; the download is damaged or altered: \
         delete that file and run again, and cargo fetches it afresh", path.display()
    )]
    Checksum {
        /// The archive.
        path: PathBuf,
        /// The checksum in the lock file.
        expected: String,
        /// The checksum of the bytes on disk.
        found: String,
    },

    /// The archive matched its checksum but does not look like a crate.
    #[error("{archive}: expected regular files under `{archive}/`, found {found}")]
    Archive {
        /// Name and version of the crate.
        archive: String,
        /// The entry or the failure that was met.
        found: String,
    },

    /// Some edits or modules do not fit the source. Nothing was written.
    #[error("{}", fit_report(failures))]
    Fit {
        /// Every one that does not fit, in the order of application.
        failures: Vec<Failure>,
    },

    /// Something else is in the place of the engine's folder.
    #[error("{} {found}; move it away or choose another folder", path.display())]
    Occupied {
        /// Where the engine should go.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },

    /// A folder has no source of the engine's crate.
    #[error(
        "{}: expected the folder of the crate {name}, or of a repository with a folder {name}/ in it; found no src/ there", path.display()
    )]
    NoSource {
        /// The folder that was named.
        path: PathBuf,
        /// The engine's crate.
        name: &'static str,
    },

    /// A name on the command line of `cargo seam drop` that does not serve.
    #[error("{0}")]
    Selection(String),

    /// The test suite does not compile.
    #[error("`{0}` failed; cargo says why above")]
    NotCompiled(String),

    /// A program could not be started.
    #[error("cannot start {}: {source}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

impl Error {
    /// Turns an `io::Error` into one that names the path; made for `map_err`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }
}

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

fn fit_report(failures: &[Failure]) -> String {
    let mut text = format!(
        "{} of the seam's entries do not fit {} {}; nothing was written:",
        failures.len(),
        crate::pinned::ENGINE,
        crate::pinned::VERSION
    );
    for failure in failures {
        text.push_str(&format!("\n  {failure}"));
    }
    text.push_str("\nanchors are counted after the edits above them were applied; correct the entries named here");
    text
}
