//! Reads a configuration together with the table of the adapter that it names.
use std::path::Path;

use super::{Adapter, RegistryError, adapters};
use crate::config::reader::TableReader;
use crate::config::{Config, ConfigError, Problem};

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file is wrong.
    #[error(transparent)]
    File(#[from] ConfigError),
    /// The adapters of this program are.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// Reads a file, or our part of an engine's own; every problem of it, the adapter's table included, is reported at once. Also gives the
/// adapter that the file names.
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

/// The same for the text of a file; `name` is the file's name in messages.
///
/// # Errors
/// As [`read_config`].
pub fn read_config_text(text: &str, name: &str) -> Result<(Config, &'static dyn Adapter), ReadError> {
    read_with(&adapters()?, |read| Config::from_str_with(text, name, read))
}

type TableOf<'a> = &'a mut dyn FnMut(&str, &mut TableReader<'_>);

fn read_with(
    known: &[&'static dyn Adapter],
    read: impl FnOnce(TableOf<'_>) -> Result<(Config, ()), ConfigError>,
) -> Result<(Config, &'static dyn Adapter), ReadError> {
    let mut named = None;
    let mut chosen = String::new();
    let result = read(&mut |name, table| {
        chosen = name.into();
        named = known.iter().find(|adapter| adapter.name() == name);
        match named {
            Some(adapter) => adapter.read_table(table),
            None => table.accept_all(),
        }
    });
    match (result, named) {
        (Ok((config, ())), Some(adapter)) => Ok((config, *adapter)),
        (Ok((config, ())), None) => Err(config.refuse("adapter", &expected(known), None).into()),
        (Err(mut error), named) => {
            if named.is_none() && !chosen.is_empty() {
                // The tables of the adapters there are look foreign to one that is not there.
                error.problems.retain(|problem| !known.iter().any(|adapter| adapter.name() == problem.path));
                error.problems.insert(0, unknown_adapter(&error, &chosen, known));
            }
            Err(error.into())
        }
    }
}

fn expected(known: &[&'static dyn Adapter]) -> String {
    let names: Vec<_> = known.iter().map(|adapter| adapter.name()).collect();
    format!("an adapter of this program: {}", names.join(", "))
}

fn unknown_adapter(error: &ConfigError, chosen: &str, known: &[&'static dyn Adapter]) -> Problem {
    let found = error.source.lines().position(|line| line.trim_start().starts_with("adapter"));
    let index = found.unwrap_or(0);
    let start: usize = error.source.split_inclusive('\n').take(index).map(str::len).sum();
    let line = error.source.lines().nth(index).unwrap_or("");
    let column = line.find(chosen).map_or(0, |at| line[..at].chars().count().saturating_sub(1));
    Problem {
        path: "adapter".into(),
        line: index + 1,
        column: column + 1,
        span: start..start + line.len(),
        found: format!("string {chosen:?}"),
        expected: expected(known),
        hint: None,
    }
}
