//! A configuration file, read as a whole: the core's tables, the adapter's own, and the profiles.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use super::adapter::AdapterTable;
use super::error::ConfigError;
use super::host::Host;
use super::keys::{self, Group, Pair, Replay};
use super::reader::{Session, Slot, TableReader};
use super::resolve;
use super::source::Source;

/// A complete, valid configuration.
///
/// Two of them are equal if their files are, down to the comments. To ask whether two do the same, compare
/// [`Config::fingerprint`].
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Config {
    /// The engine adapter, by the name it is registered under.
    pub adapter: String,
    /// The two models.
    pub pair: Pair,
    /// What replay does: preset, file and defaults put together.
    pub replay: Replay,
    /// Variants that a request can ask for by name: `[profiles.NAME]` has the keys of `[replay]`, and whatever it does
    /// not say is as there.
    pub profiles: BTreeMap<String, Replay>,
    /// The adapter's own table, to be read by the adapter.
    #[serde(skip)]
    pub adapter_table: AdapterTable,
    /// The file, if there is one. Relative model directories count from its folder; the adapter resolves them.
    pub source_path: Option<PathBuf>,
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// All problems of the file. A file that cannot be read, is not UTF-8, or is no configuration by its size is one
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

    /// Like [`Config::from_file`], and reads the adapter's table at once, so that its problems are reported together
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

    /// Like [`Config::from_file_with`], for a file that is the engine's own and has our tables beside its own.
    ///
    /// # Errors
    ///
    /// All problems of our part of the file.
    pub fn from_host_file_with<T>(
        path: impl AsRef<Path>,
        host: &Host<'_>,
        read: impl FnOnce(&str, &mut TableReader<'_>) -> T,
    ) -> Result<(Self, T), ConfigError> {
        Self::read(Source::from_file(path.as_ref())?, Some(host), read)
    }

    /// Like [`Config::from_str`], and reads the adapter's table at once, so that its problems are reported together
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

    /// Reads the adapter's own table. If the file does not have it, it is read as if it were there and empty.
    ///
    /// # Errors
    ///
    /// All problems of the table: whatever `read` asked for and did not get, and keys it did not ask for.
    pub fn read_adapter_table<T>(&self, read: impl FnOnce(&mut TableReader<'_>) -> T) -> Result<T, ConfigError> {
        self.adapter_table.read(read)
    }

    /// An error at the key `path` (`replay.layers`, `adapter`) for a problem that only shows later, such as an adapter
    /// that is not registered or a model with fewer layers: whoever sees it can point at the line, too.
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
        let mut session = Session::new(&source.name, &source.text, keys::home_of);
        let mut top = TableReader::new(&mut session, Some(tree.get_ref()), "", 0..0);
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
                // Without the adapter's name, any table might be its own.
                top.accept_other_tables();
                None
            }
        };
        top.finish();
        let replay = resolve::replay(slots, &mut session);
        let resolved = |(slots, name)| (name, resolve::profile(slots, &replay, &mut session));
        let profiles = profiles.into_iter().map(resolved).collect();
        let error = session.finish(syntax);
        match adapter {
            Some((adapter, adapter_table, content)) if error.problems.is_empty() => {
                Ok((Self { adapter, pair, replay, profiles, adapter_table, source_path: source.path }, content))
            }
            _ => Err(error),
        }
    }
}
