//! Which crate gets the seam.

/// The crate that gets the seam.
pub const ENGINE: &str = "mistralrs-core";

/// The version that the edits are written for; the manifest pins the same.
pub const VERSION: &str = "0.8.1";

/// The newest upstream version whose source was read for what it has mended. Raise it with the `mended` of every fault read again.
pub const NEWEST_READ: &str = "0.9.2";
