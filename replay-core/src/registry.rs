//! Adapters by name. An adapter registers itself with `inventory::submit!`; the TOML key `adapter` selects one.
//!
//! A crate that is never named in code is not linked: a binary that wants an adapter writes `use its_crate as _;`.
use crate::config::{Config, ConfigError};

pub use inventory;

/// What an adapter says of itself.
#[derive(Debug, Clone, Copy)]
pub struct Adapter {
    /// The value of the key `adapter`, and the name of the adapter's own table.
    pub name: &'static str,
    /// The engine and its version.
    pub engine: &'static str,
    /// The architectures that it can replay.
    pub architectures: fn() -> Vec<Architecture>,
    /// Reads the adapter's own table.
    pub check_table: fn(&Config) -> Result<(), ConfigError>,
}

inventory::collect!(Adapter);

/// One architecture that an adapter can replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Architecture {
    /// Its name in a checkpoint.
    pub name: &'static str,
    /// The strategies that it can do.
    pub strategies: &'static [&'static str],
}

/// The registry cannot answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// Two linked crates claim one name.
    #[error("two adapters are called {0:?}")]
    Duplicate(&'static str),
    /// No linked crate claims the name.
    #[error("there is no adapter {name:?}; linked into this program: {}", known.join(", "))]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: Vec<&'static str>,
    },
}

/// All linked adapters, by name (the order of registration is undefined).
///
/// # Errors
/// If two have the same name.
pub fn adapters() -> Result<Vec<&'static Adapter>, RegistryError> {
    sorted(inventory::iter::<Adapter>.into_iter().collect())
}

/// The adapter of that name.
///
/// # Errors
/// If there is none, or two.
pub fn adapter(name: &str) -> Result<&'static Adapter, RegistryError> {
    let all = adapters()?;
    all.iter().find(|adapter| adapter.name == name).copied().ok_or_else(|| RegistryError::Unknown {
        name: name.into(),
        known: all.iter().map(|adapter| adapter.name).collect(),
    })
}

fn sorted(mut all: Vec<&'static Adapter>) -> Result<Vec<&'static Adapter>, RegistryError> {
    all.sort_by_key(|adapter| adapter.name);
    match all.windows(2).find(|pair| pair[0].name == pair[1].name) {
        Some(pair) => Err(RegistryError::Duplicate(pair[0].name)),
        None => Ok(all),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static B: Adapter = Adapter { name: "b", engine: "", architectures: Vec::new, check_table: |_| Ok(()) };
    static A: Adapter = Adapter { name: "a", ..B };

    inventory::submit! { Adapter { name: "for-the-test", engine: "none", architectures: Vec::new, check_table: |_| Ok(()) } }

    #[test]
    fn sorted_by_name_and_duplicates_are_errors() {
        let names: Vec<_> = sorted(vec![&B, &A]).unwrap().iter().map(|adapter| adapter.name).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(sorted(vec![&B, &A, &B]).unwrap_err(), RegistryError::Duplicate("b"));
    }

    #[test]
    fn a_registered_adapter_is_found_and_an_unknown_one_names_those_there_are() {
        assert_eq!(adapter("for-the-test").unwrap().engine, "none");
        let error = adapter("nobody").unwrap_err().to_string();
        assert_eq!(error, "there is no adapter \"nobody\"; linked into this program: for-the-test");
    }
}
