//! What the configuration says of this engine: the adapter's own table, and the engine's file that our tables may stand in.
pub(crate) mod adapter_name;
pub(crate) mod device;
pub(crate) mod engine_file;
pub(crate) mod paged;
pub(crate) mod table;
