//! Reads a configuration together with the table of the adapter that it names.
use std::path::Path;

use super::adapter::Adapter;
use super::linked::{RegistryError, adapters};
use crate::config::reader::TableReader;
use crate::config::{Config, ConfigError, Problem};

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file has problems.
    #[error(transparent)]
    File(#[from] ConfigError),
    /// The registry of adapters has an error.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// Reads a configuration file, or the tables of replay in an engine's own configuration file, and returns the adapter that it names. All
/// problems are reported at once, including those of the adapter's table.
///
/// # Errors
/// Every problem of the file.
pub fn read_config(path: &Path) -> Result<(Config, &'static dyn Adapter), ReadError> {
    let known = adapters()?;
    if let Some(adapter) = known.iter().find(|adapter| adapter.is_host_file(path))
        && let Some(host) = adapter.host_file()
    {
        return Ok((host.read(path)?, *adapter));
    }
    read_with(&known, |read| Config::from_file_with(path, read))
}

/// Like [`read_config`], for the text of a file; `name` is the file's name in messages.
///
/// # Errors
/// As [`read_config`].
#[cfg(test)]
pub(super) fn read_config_text(text: &str, name: &str) -> Result<(Config, &'static dyn Adapter), ReadError> {
    read_with(&adapters()?, |read| Config::from_str_with(text, name, read))
}

/// Reads the adapter's table, given the adapter's name.
type ReadTable<'a> = &'a mut dyn FnMut(&str, &mut TableReader<'_>);

fn read_with(
    known: &[&'static dyn Adapter],
    read: impl FnOnce(ReadTable<'_>) -> Result<(Config, ()), ConfigError>,
) -> Result<(Config, &'static dyn Adapter), ReadError> {
    let mut adapter = None;
    let mut adapter_name = String::new();
    let result = read(&mut |name, table| {
        adapter_name = name.into();
        adapter = known.iter().find(|adapter| adapter.name() == name);
        match adapter {
            Some(adapter) => adapter.read_table(table),
            None => table.accept_all(),
        }
    });
    match (result, adapter) {
        (Ok((config, ())), Some(adapter)) => Ok((config, *adapter)),
        (Ok((config, ())), None) => Err(config.refuse("adapter", &expected(known), None).into()),
        (Err(mut error), adapter) => {
            if adapter.is_none() && !adapter_name.is_empty() {
                // Tables of other adapters are reported as unknown, which is only a consequence of the unknown adapter.
                error.problems.retain(|problem| !known.iter().any(|adapter| adapter.name() == problem.path));
                error.problems.insert(0, unknown_adapter(&error, &adapter_name, known));
            }
            Err(error.into())
        }
    }
}

fn expected(known: &[&'static dyn Adapter]) -> String {
    let names: Vec<_> = known.iter().map(|adapter| adapter.name()).collect();
    format!("an adapter of this program: {}", names.join(", "))
}

/// The problem of an adapter name that is not registered. The line is searched for, since the name's span is not known here.
fn unknown_adapter(error: &ConfigError, name: &str, known: &[&'static dyn Adapter]) -> Problem {
    let index = error.source.lines().position(|line| line.trim_start().starts_with("adapter")).unwrap_or(0);
    let start: usize = error.source.split_inclusive('\n').take(index).map(str::len).sum();
    let line = error.source.lines().nth(index).unwrap_or("");
    let column = line.find(name).map_or(0, |at| line[..at].chars().count().saturating_sub(1));
    Problem {
        path: "adapter".into(),
        line: index + 1,
        column: column + 1,
        span: start..start + line.len(),
        found: format!("string {name:?}"),
        expected: expected(known),
        hint: None,
    }
}
