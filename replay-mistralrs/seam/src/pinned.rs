//! Which crate gets the seam.

/// The crate that gets the seam.
pub const ENGINE: &str = "mistralrs-core";

/// The version that the edits are written for; the manifest pins the same.
pub const VERSION: &str = "0.8.1";
