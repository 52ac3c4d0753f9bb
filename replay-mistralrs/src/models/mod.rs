//! Models on disk or on the hub: finding, reading, fingerprinting and loading their files.
pub(crate) mod checkpoint;
pub(crate) mod config_layout;
pub(crate) mod fingerprint;
pub(crate) mod load;
pub(crate) mod model_files;
mod preprocessor;
pub(crate) mod source;
mod tokens;
mod weight_files;
pub(crate) mod weight_pool;
