//! The depth of a model, from its files.
use replay_core::Role;
use replay_core::config::Config;

use crate::error::AttachError;
use crate::families::Family;
use crate::models::model_files::ModelFiles;
use crate::models::source::ModelSource;

/// The number of decoder layers of the RLVR model, which is not loaded.
///
/// # Errors
/// If its files cannot be read, or its family is not known.
pub(crate) fn decoder_layers(config: &Config) -> Result<usize, AttachError> {
    let (_, source) = ModelSource::find_pair(config)?;
    if source.folder().is_none() {
        let why = "it is not in the hub's cache yet; `replay check` downloads it".into();
        return Err(AttachError::Load { role: Role::Rlvr, id: source.id, why });
    }
    let files = ModelFiles::read(Role::Rlvr, &source)?;
    Family::of(&files.config)?.size(&files.config, "num_hidden_layers")
}
