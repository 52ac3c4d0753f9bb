//! The adapters that are linked into this program.
use super::adapter::Adapter;

/// The entry of an adapter in the registry: `inventory::submit! { Registration(&MyAdapter) }`.
#[derive(Debug, Clone, Copy)]
pub struct Registration(pub &'static dyn Adapter);

inventory::collect!(Registration);

/// An error of the registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// Two linked adapters have the same name.
    #[error("two adapters are called {0:?}")]
    Duplicate(&'static str),
    /// No linked adapter has this name.
    #[error("there is no adapter {name:?}; linked into this program: {}", known.join(", "))]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names of the linked adapters.
        known: Vec<&'static str>,
    },
}

/// All linked adapters, sorted by name (the order of registration is undefined).
///
/// # Errors
/// If two have the same name.
pub fn adapters() -> Result<Vec<&'static dyn Adapter>, RegistryError> {
    sorted(inventory::iter::<Registration>.into_iter().map(|Registration(adapter)| *adapter).collect())
}

/// The adapter of that name.
///
/// # Errors
/// If there is none, or two.
pub fn adapter(name: &str) -> Result<&'static dyn Adapter, RegistryError> {
    let all = adapters()?;
    all.iter().find(|adapter| adapter.name() == name).copied().ok_or_else(|| RegistryError::Unknown {
        name: name.into(),
        known: all.iter().map(|adapter| adapter.name()).collect(),
    })
}

pub(super) fn sorted(mut all: Vec<&'static dyn Adapter>) -> Result<Vec<&'static dyn Adapter>, RegistryError> {
    all.sort_by_key(|adapter| adapter.name());
    match all.windows(2).find(|pair| pair[0].name() == pair[1].name()) {
        Some(pair) => Err(RegistryError::Duplicate(pair[0].name())),
        None => Ok(all),
    }
}
