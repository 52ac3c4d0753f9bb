//! Configuration of this engine: the adapter's own table, and replay's tables in the engine's configuration file.
pub(crate) mod adapter_name;
pub(crate) mod device;
pub(crate) mod engine_file;
pub(crate) mod paged;
pub(crate) mod table;
