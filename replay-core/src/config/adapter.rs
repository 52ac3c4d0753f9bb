//! The adapter's own table, which the core stores as text and does not interpret.

use std::ops::Range;

use super::error::ConfigError;
use super::keys;
use super::reader::{Diagnostics, TableReader};
use super::shape::{Diagnostic, describe};
use super::source::Source;

/// The file that holds the adapter's own table.
///
/// The whole source is kept rather than the values of one table: the adapter's messages then show the lines and columns
/// of the file, and the core needs no type for values it does not understand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterTable {
    name: String,
    source: Source,
    present: bool,
    /// Where a missing key is reported if the file does not have the table: at the value of `adapter`.
    adapter_span: Range<usize>,
}

impl AdapterTable {
    pub(super) fn new(name: &str, source: &Source, present: bool, adapter_span: Range<usize>) -> Self {
        Self { name: name.to_owned(), source: source.clone(), present, adapter_span }
    }

    /// The name of the table, which is the adapter's.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the file has the table.
    #[must_use]
    pub fn is_present(&self) -> bool {
        self.present
    }

    /// The file's name in messages.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.source.name
    }

    /// The text of the whole file.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source.text
    }

    /// Reads the table. A table that the file does not have is read as an empty one.
    pub(super) fn read<T>(&self, read: impl FnOnce(&mut TableReader<'_>) -> T) -> Result<T, ConfigError> {
        let (tree, syntax) = self.source.parse();
        let mut diagnostics = Diagnostics::new(&self.source.name, &self.source.text, keys::home_of);
        let mut top = TableReader::new(&mut diagnostics, Some(tree.get_ref()), "", self.adapter_span.clone());
        let content = top.table_or_empty(&self.name, read);
        let error = diagnostics.finish(syntax);
        if error.problems.is_empty() { Ok(content) } else { Err(error) }
    }

    /// An error at the key `path` of the file, or at the innermost table around it that the file has.
    pub(super) fn refuse(&self, path: &str, expected: &str, hint: Option<&str>) -> ConfigError {
        let (tree, _) = self.source.parse();
        let mut table = Some(tree.get_ref());
        let mut diagnostic = Diagnostic::new(0..0, expected, "nothing");
        diagnostic.hint = hint.map(str::to_owned);
        for segment in path.split('.') {
            let Some((key, value)) = table.and_then(|table| table.get_key_value(segment)) else {
                diagnostic.found = "nothing".to_owned();
                break;
            };
            diagnostic.found = describe(value.get_ref());
            table = value.get_ref().as_table();
            diagnostic.span = match table {
                Some(_) => key.span(),
                None => value.span(),
            };
        }
        Diagnostics::new(&self.source.name, &self.source.text, keys::home_of).refuse(path, diagnostic)
    }
}
