//! The adapter's name.

/// The value of the key `adapter` that selects this adapter.
pub const ADAPTER: &str = "mistralrs";
