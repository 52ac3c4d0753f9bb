//! The declaration of a table of the file.

use super::key::Described;

/// A table of the file with its keys.
#[derive(Clone, Copy)]
pub struct Table {
    /// The path of the table, such as `replay.rank`. Empty for the top of the file.
    pub path: &'static str,
    /// What the table is for.
    pub meaning: &'static str,
    /// Its keys, without the tables inside it.
    pub keys: &'static [&'static dyn Described],
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.keys.iter().map(|key| key.name());
        write!(f, "Table({}: ", self.path)?;
        f.debug_list().entries(names).finish()?;
        f.write_str(")")
    }
}
