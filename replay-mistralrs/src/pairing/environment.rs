//! Installs replay from the configuration file that an environment variable names, so that a deployment needs one line of code.
use std::path::Path;

use crate::config::engine_file::read_config;
use crate::error::AttachError;
use crate::pairing::attach::install;

/// The environment variable that names the configuration file: one of replay's own, or the engine's with replay's tables in it.
pub const CONFIG_VARIABLE: &str = "ACTIVATION_REPLAY_CONFIG";

/// [`install`]s replay with the configuration file that [`CONFIG_VARIABLE`] names. Returns `false`, and does nothing, if the variable is not
/// set.
///
/// ```no_run
/// // Before any model is loaded:
/// replay_mistralrs::install_from_env()?;
/// # Ok::<(), replay_mistralrs::AttachError>(())
/// ```
///
/// # Errors
/// If the file is wrong, or [`install`] fails.
pub fn install_from_env() -> Result<bool, AttachError> {
    let Some(file) = std::env::var_os(CONFIG_VARIABLE).filter(|file| !file.is_empty()) else { return Ok(false) };
    install(&read_config(Path::new(&file))?)?;
    Ok(true)
}
