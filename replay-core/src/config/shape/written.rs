//! Writing values into the listing of the settings and into their fingerprint.

use serde_json::Value;

use super::kind::Shape;

/// A shape whose values can be written into the listing and the fingerprint.
pub(in crate::config) trait Written: Shape {
    /// The value as TOML, so that a row of the listing can be copied into a file.
    fn toml(&self, value: &Self::Value) -> String;

    /// The value as it enters the fingerprint: equal for all spellings of the same value.
    fn identity(&self, value: &Self::Value) -> Value;

    /// Whether the setting is optional and has no value, so that nothing is written.
    fn is_none(&self, _value: &Self::Value) -> bool {
        false
    }
}
