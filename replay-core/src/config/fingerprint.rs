//! The identity of a replay configuration: what it does, not how it is written.

use serde_json::{Value, json};

use super::keys::{Group, Replay};

/// Raised whenever the meaning of a setting changes, so that old cache entries are not taken for new ones.
const VERSION: u32 = 1;

impl Replay {
    /// A blake3 hash, in hexadecimal, of the settings that can change a result.
    ///
    /// Two configurations that do the same have the same fingerprint, whether they were written by preset or by hand:
    /// the preset's name, comments, and settings without meaning for the strategy are left out, `layers = 2` equals
    /// `layers = [0, 1]`, and one threshold equals a list of equal ones. Left out as well is whatever does not change
    /// what is computed, such as `on_error`, `lens_memory` and the cache: the declaration of a key says so. The models
    /// and the adapter's own table are not part of it; combine it with the fingerprints of the weights.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut settings = self.identity();
        settings.insert("version".to_owned(), json!(VERSION));
        let mut settings = Value::Object(settings);
        // Cargo features of other crates decide whether serde_json keeps the order of insertion.
        settings.sort_all_objects();
        blake3::hash(settings.to_string().as_bytes()).to_hex().to_string()
    }
}
