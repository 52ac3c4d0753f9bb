//! A configuration file, read as a whole: the core's tables, the adapter's own, and the profiles.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use super::adapter::AdapterTable;
use super::error::ConfigError;
use super::host::Host;
use super::keys::{self, Group, Pair, Replay};
use super::reader::{Diagnostics, Slot, TableReader};
use super::resolve;
use super::source::Source;

/// A complete, valid configuration.
///
/// `==` compares the files, comments included. To compare what two configurations do, compare [`Config::fingerprint`].
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Config {
    /// The engine adapter, by the name it is registered under.
    pub adapter: String,
    /// The two models.
    pub pair: Pair,
    /// What replay does: preset, file and defaults put together.
    pub replay: Replay,
    /// Variants that a request can ask for by name: `[profiles.NAME]` has the keys of `[replay]`, and inherits from
    /// `[replay]` what it leaves out.
    pub profiles: BTreeMap<String, Replay>,
    /// The adapter's own table, which the adapter reads.
    #[serde(skip)]
    pub adapter_table: AdapterTable,
    /// The path of the file, if there is one. The adapter resolves relative model directories from its folder.
    pub source_path: Option<PathBuf>,
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// All problems of the file. A file that cannot be read, is not UTF-8, or is too long for a configuration is one
    /// problem at line 1, column 1.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        Self::from_file_with(path, |_, table| table.accept_all()).map(|(config, ())| config)
    }

    /// Reads the text of a file; `name` is the file's name in messages.
    ///
    /// # Errors
    ///
    /// All problems of the text.
    pub fn from_str(source: &str, name: &str) -> Result<Self, ConfigError> {
        Self::from_str_with(source, name, |_, table| table.accept_all()).map(|(config, ())| config)
    }

    /// Like [`Config::from_file`], and also reads the adapter's table, so that its problems are reported together
    /// with all others. `read` is given the adapter's name.
    ///
    /// # Errors
    ///
    /// All problems of the file, including those of the adapter's table.
    pub fn from_file_with<T>(
        path: impl AsRef<Path>,
        read: impl FnOnce(&str, &mut TableReader<'_>) -> T,
    ) -> Result<(Self, T), ConfigError> {
        Self::read(Source::from_file(path.as_ref())?, None, read)
    }

    /// Like [`Config::from_file_with`], for the engine's own configuration file that also holds the tables of replay.
    ///
    /// # Errors
    ///
    /// All problems of the tables of replay.
    pub fn from_host_file_with<T>(
        path: impl AsRef<Path>,
        host: &Host<'_>,
        read: impl FnOnce(&str, &mut TableReader<'_>) -> T,
    ) -> Result<(Self, T), ConfigError> {
        Self::read(Source::from_file(path.as_ref())?, Some(host), read)
    }

    /// Like [`Config::from_str`], and also reads the adapter's table, so that its problems are reported together
    /// with all others. `read` is given the adapter's name.
    ///
    /// # Errors
    ///
    /// All problems of the text, including those of the adapter's table.
    pub fn from_str_with<T>(
        source: &str,
        name: &str,
        read: impl FnOnce(&str, &mut TableReader<'_>) -> T,
    ) -> Result<(Self, T), ConfigError> {
        Self::read(Source::from_text(source, name), None, read)
    }

    /// Reads the adapter's own table. A table that the file does not have is read as an empty one.
    ///
    /// # Errors
    ///
    /// All problems of the table: keys that `read` requires and the file lacks, wrong values, and keys that `read` does
    /// not know.
    pub fn read_adapter_table<T>(&self, read: impl FnOnce(&mut TableReader<'_>) -> T) -> Result<T, ConfigError> {
        self.adapter_table.read(read)
    }

    /// An error at the key `path` (`replay.layers`, `adapter`), for a problem found after the file was read, such as an
    /// adapter that is not registered or a model with too few layers. The error has the key's line and column.
    #[must_use]
    pub fn refuse(&self, path: &str, expected: &str, hint: Option<&str>) -> ConfigError {
        self.adapter_table.refuse(path, expected, hint)
    }

    /// The identity of the effective replay settings; see [`Replay::fingerprint`].
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.replay.fingerprint()
    }

    fn read<T>(
        source: Source,
        host: Option<&Host<'_>>,
        read_adapter: impl FnOnce(&str, &mut TableReader<'_>) -> T,
    ) -> Result<(Self, T), ConfigError> {
        let (tree, syntax) = source.parse();
        let mut diagnostics = Diagnostics::new(&source.name, &source.text, keys::home_of);
        let mut top = TableReader::new(&mut diagnostics, Some(tree.get_ref()), "", 0..0);
        let adapter = match host {
            Some(host) => keys::read_adapter_in_host(&mut top, host),
            None => keys::read_adapter(&mut top),
        };
        let pair = resolve::pair(&top.table_or_empty("pair", Pair::read));
        let slots = top.table_or_empty("replay", Replay::read);
        let profiles = top.table_or_empty("profiles", |table| {
            let names = table.names();
            names.into_iter().map(|name| (table.table_or_empty(&name, Replay::read), name)).collect::<Vec<_>>()
        });
        let adapter = match adapter {
            Slot::Given(name) => {
                let present = tree.get_ref().contains_key(name.value.as_str());
                let table = AdapterTable::new(&name.value, &source, present, name.span.clone());
                top.report_absences_at(name.span);
                let content = top.table_or_empty(&name.value, |table| read_adapter(&name.value, table));
                Some((name.value, table, content))
            }
            Slot::Absent | Slot::Refused => {
                // Without the adapter's name, any unknown table may be the adapter's.
                top.accept_other_tables();
                None
            }
        };
        top.finish();
        let replay = resolve::replay(slots, &mut diagnostics);
        let resolved = |(slots, name)| (name, resolve::profile(slots, &replay, &mut diagnostics));
        let profiles = profiles.into_iter().map(resolved).collect();
        let error = diagnostics.finish(syntax);
        match adapter {
            Some((adapter, adapter_table, content)) if error.problems.is_empty() => {
                Ok((Self { adapter, pair, replay, profiles, adapter_table, source_path: source.path }, content))
            }
            _ => Err(error),
        }
    }
}
