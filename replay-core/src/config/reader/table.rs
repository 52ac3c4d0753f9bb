//! The reader of one table, which also reports the keys that were never looked up.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::super::nearest::nearest;
use super::super::shape::{Diagnostic, Shape, Value, alternatives, describe};
use super::diagnostics::Diagnostics;
use super::field::{Field, Given, Slot};

/// Reads one table, key by key.
#[derive(Debug)]
pub struct TableReader<'a> {
    diagnostics: &'a mut Diagnostics,
    table: Option<&'a DeTable<'a>>,
    path: String,
    /// Where a key missing from this table is reported.
    at: Range<usize>,
    known: Vec<String>,
    /// Whether the value is not a table, which has been reported: its keys are then not reported as absent.
    refused: bool,
    unknown_keys: UnknownKeys,
}

/// What to do about keys that were never looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UnknownKeys {
    Refuse,
    /// Accept unknown tables, unless one is probably a misspelt known one.
    AcceptTables,
    AcceptAll,
}

impl<'a> TableReader<'a> {
    pub(in crate::config) fn new(
        diagnostics: &'a mut Diagnostics,
        table: Option<&'a DeTable<'a>>,
        path: &str,
        at: Range<usize>,
    ) -> Self {
        Self {
            diagnostics,
            table,
            path: path.to_owned(),
            at,
            known: Vec::new(),
            refused: false,
            unknown_keys: UnknownKeys::Refuse,
        }
    }

    /// The path of this table, such as `replay.rank`. Empty for the top of the file.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether the file has this table.
    #[must_use]
    pub fn is_present(&self) -> bool {
        self.table.is_some()
    }

    /// The keys that the file has in this table, for a table whose keys are chosen by the user.
    pub(in crate::config) fn names(&self) -> Vec<String> {
        self.table.into_iter().flatten().map(|(key, _)| key.get_ref().to_string()).collect()
    }

    /// Where a key missing from this table is reported: at its header, or at the innermost header around it.
    pub(in crate::config) fn at(&self) -> Range<usize> {
        self.at.clone()
    }

    /// Looks up a key whose value has any shape.
    pub fn field<S: Shape>(&mut self, key: &str, shape: &S) -> Field<'_, S::Value> {
        let path = join(&self.path, key);
        let slot = match self.look_up(key) {
            None if self.refused => Slot::Refused,
            None => Slot::Absent,
            Some((place, value)) => match shape.read(value) {
                Ok(content) => Slot::Given(Given { value: content, key: place, span: value.span() }),
                Err(diagnostics) => {
                    for diagnostic in diagnostics {
                        self.diagnostics.report(&path, diagnostic);
                    }
                    Slot::Refused
                }
            },
        };
        Field {
            slot,
            placeholder: shape.placeholder(),
            absence: self.missing(key, &shape.expected()),
            diagnostics: self.diagnostics,
            path,
        }
    }

    /// Reads a table inside this one; `None` if the file does not have it.
    pub fn table<T>(&mut self, key: &str, read: impl FnOnce(&mut TableReader<'_>) -> T) -> Option<T> {
        self.look_up(key)?;
        Some(self.table_or_empty(key, read))
    }

    /// Reads a table inside this one. A table that the file does not have is read as an empty one.
    pub fn table_or_empty<T>(&mut self, key: &str, read: impl FnOnce(&mut TableReader<'_>) -> T) -> T {
        let path = join(&self.path, key);
        let (table, at, refused) = match self.look_up(key) {
            None => (None, self.at.clone(), self.refused),
            Some((place, value)) => match value.get_ref() {
                DeValue::Table(table) => (Some(table), place, false),
                other => {
                    let diagnostic = Diagnostic::new(value.span(), "a table", describe(other));
                    let hint = format!("write a header `[{path}]` and the keys below it");
                    self.diagnostics.report(&path, diagnostic.hint(hint));
                    (None, place, true)
                }
            },
        };
        let mut reader = TableReader::new(self.diagnostics, table, &path, at);
        reader.refused = refused;
        let content = read(&mut reader);
        reader.finish();
        content
    }

    /// Reports a problem that the caller found, at `key` if the table has it, else at its header.
    pub fn report(&mut self, key: &str, expected: &str, hint: Option<&str>) {
        let path = join(&self.path, key);
        let mut diagnostic = match self.look_up(key) {
            Some((place, value)) => Diagnostic::new(place, expected, describe(value.get_ref())),
            None => Diagnostic::new(self.at.clone(), expected, "no such key"),
        };
        diagnostic.hint = hint.map(str::to_owned);
        self.diagnostics.report(&path, diagnostic);
    }

    /// Accepts keys that were never looked up, for a table that other code reads.
    pub fn accept_all(&mut self) {
        self.unknown_keys = UnknownKeys::AcceptAll;
    }

    /// Accepts these keys without reading them, for keys that other code reads.
    pub(in crate::config) fn accept(&mut self, keys: &[&str]) {
        self.known.extend(keys.iter().map(|key| (*key).to_owned()));
    }

    /// Accepts unknown tables, unless one is probably a misspelt known one.
    pub(in crate::config) fn accept_other_tables(&mut self) {
        self.unknown_keys = UnknownKeys::AcceptTables;
    }

    /// Sets the place at which keys missing from absent tables are reported.
    pub(in crate::config) fn report_absences_at(&mut self, place: Range<usize>) {
        self.at = place;
    }

    /// Reports the keys that were never looked up.
    pub(in crate::config) fn finish(self) {
        let Some(table) = self.table else { return };
        if self.unknown_keys == UnknownKeys::AcceptAll {
            return;
        }
        for (key, value) in table {
            let name: &str = key.get_ref();
            if self.known.iter().any(|known| known == name) {
                continue;
            }
            let suggestion = match self.diagnostics.home_of(name) {
                // A key of another table, spelt correctly, is misplaced rather than misspelt.
                Some(home) if home != join(&self.path, name) => Some((misplaced_hint(&home, name), home)),
                _ => nearest(name, self.known.iter().map(String::as_str))
                    .map(|near| (format!("did you mean `{near}`?"), join(&self.path, near))),
            };
            let is_table = value.get_ref().is_table();
            if suggestion.is_none() && is_table && self.unknown_keys == UnknownKeys::AcceptTables {
                continue;
            }
            let kind = if is_table { "table" } else { "key" };
            let known = alternatives(self.known.iter().map(|known| format!("`{known}`")));
            let mut diagnostic =
                Diagnostic::new(key.span(), known, format!("unknown {kind} `{}`", name.escape_debug()));
            if let Some((hint, path)) = suggestion {
                diagnostic.hint = Some(hint);
                self.diagnostics.suspect(path);
            }
            self.diagnostics.report(&join(&self.path, name), diagnostic);
        }
    }

    /// The place of the key, and its value.
    fn look_up(&mut self, key: &str) -> Option<(Range<usize>, &'a Value<'a>)> {
        if !self.known.iter().any(|known| known == key) {
            self.known.push(key.to_owned());
        }
        let (key, value) = self.table?.get_key_value(key)?;
        Some((key.span(), value))
    }

    fn missing(&self, key: &str, expected: &str) -> Diagnostic {
        let (found, hint) = if self.path.is_empty() {
            let hint = format!("add `{key} = ...` at the top of the file, before any table");
            ("nothing".to_owned(), hint)
        } else {
            let found = match self.table {
                Some(_) => "nothing".to_owned(),
                None => format!("no table `[{}]`", self.path),
            };
            (found, format!("add `{key} = ...` below `[{}]`", self.path))
        };
        Diagnostic::new(self.at.clone(), expected, found).hint(hint)
    }
}

fn misplaced_hint(home: &str, name: &str) -> String {
    match home.rsplit_once('.') {
        Some((table, _)) => format!("`{name}` belongs in the table `[{table}]`"),
        None => format!("`{name}` belongs at the top of the file, before any table"),
    }
}

/// The path of `key` in the table `path`, with the key in quotes where TOML requires quotes.
fn join(path: &str, key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let key = if !key.is_empty() && key.chars().all(bare) { key.to_owned() } else { format!("{key:?}") };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}
