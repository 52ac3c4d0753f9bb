//! Tests of the configuration through its public interface.

use super::{Config, ConfigError};

mod adapter_table;
mod broken_combinations;
mod broken_keys;
mod broken_values;
mod declaration;
mod described;
mod file;
mod fingerprint;
mod host;
mod hostile;
mod stable;
mod syntax;
mod valid;

/// Four lines that every valid file needs; what a test adds starts at line 5.
const HEAD: &str = "adapter = \"mistralrs\"\n[pair]\nrlvr = \"org/rlvr\"\nbase = \"org/base\"\n";

fn parse(body: &str) -> Result<Config, ConfigError> {
    Config::from_str(&format!("{HEAD}{body}"), "t.toml")
}

fn valid(body: &str) -> Config {
    parse(body).unwrap_or_else(|error| panic!("{error}"))
}

/// The problems of `HEAD` and `body`: `line:column: path: expected .., found ..; hint`.
fn problems(body: &str) -> Vec<String> {
    problems_of(&format!("{HEAD}{body}"))
}

/// The problems of a whole file.
fn problems_of(source: &str) -> Vec<String> {
    match Config::from_str(source, "t.toml") {
        Ok(config) => panic!("accepted: {config:?}"),
        Err(error) => error.problems.iter().map(ToString::to_string).collect(),
    }
}
