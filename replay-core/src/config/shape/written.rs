//! Writing a value back: into the listing of the settings, and into their fingerprint.

use serde_json::Value;

use super::kind::Shape;

/// A shape whose values can be written back.
pub(in crate::config) trait Written: Shape {
    /// The value as TOML, so that a row of the listing can be copied into a file.
    fn toml(&self, value: &Self::Value) -> String;

    /// The value in the fingerprint: the same for every way to write it.
    fn identity(&self, value: &Self::Value) -> Value;

    /// Whether there is nothing to write, because the setting is optional and has no value.
    fn is_none(&self, _value: &Self::Value) -> bool {
        false
    }
}
