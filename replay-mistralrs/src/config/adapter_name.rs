//! The adapter's name.

/// The value of the key `adapter`.
pub const ADAPTER: &str = "mistralrs";
