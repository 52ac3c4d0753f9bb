//! Models on disk or on the hub: finding, reading, fingerprinting and loading their files.
pub(crate) mod config_layout;
pub(crate) mod fingerprint;
pub(crate) mod load;
pub(crate) mod model_files;
pub(crate) mod source;
pub(crate) mod weight_pool;
