//! The registry of adapters. An adapter registers itself with `inventory::submit!`; the TOML key `adapter` selects one by name.
//!
//! A crate that is never named in code is not linked, so a binary that uses an adapter writes `use its_crate as _;`.
mod adapter;
mod host;
mod linked;
mod read;

pub use adapter::{Adapter, Architecture};
pub use host::{HostFile, HostServer, HostedModels};
pub use inventory;
pub use linked::{Registration, RegistryError, adapter, adapters};
pub use read::{ReadError, read_config};

#[cfg(test)]
mod tests;
