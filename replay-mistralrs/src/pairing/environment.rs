//! Replay by an environment variable, for a deployment that has one line in its code and its settings elsewhere.
use std::path::Path;

use crate::config::engine_file::read_config;
use crate::error::AttachError;
use crate::pairing::attach::install;

/// Names the configuration file: one of its own, or the engine's with our tables in it.
pub const CONFIG_VARIABLE: &str = "ACTIVATION_REPLAY_CONFIG";

/// [`install`]s the configuration that [`CONFIG_VARIABLE`] names, and says whether it is set. Without it nothing happens, and nothing
/// costs anything.
///
/// ```no_run
/// // Before any model is loaded:
/// replay_mistralrs::install_from_env()?;
/// # Ok::<(), replay_mistralrs::AttachError>(())
/// ```
///
/// # Errors
/// Every problem of the file, and those of [`install`].
pub fn install_from_env() -> Result<bool, AttachError> {
    let Some(file) = std::env::var_os(CONFIG_VARIABLE).filter(|file| !file.is_empty()) else { return Ok(false) };
    install(&read_config(Path::new(&file))?)?;
    Ok(true)
}
