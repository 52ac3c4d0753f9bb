//! The effective settings as rows of a table, under the names of the file.

use super::keys::{Group, Replay};

impl Replay {
    /// Key and value of every setting that has an effect under this strategy, in the order of the file.
    ///
    /// Values are written as TOML, so that a row can be copied into a file.
    #[must_use]
    pub fn describe(&self) -> Vec<(&'static str, String)> {
        let mut rows = Vec::new();
        self.list(&mut rows);
        rows
    }
}
