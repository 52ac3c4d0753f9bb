//! A model's files: where they are, how they are read and loaded, and what identifies them.
pub(crate) mod config_layout;
pub(crate) mod fingerprint;
pub(crate) mod load;
pub(crate) mod model_files;
pub(crate) mod shared;
pub(crate) mod source;
