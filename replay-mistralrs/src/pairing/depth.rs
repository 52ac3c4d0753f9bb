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
    let name = &config.pair.rlvr;
    let fail = |why: String| AttachError::Load { role: Role::Rlvr, id: name.clone(), why };
    let source = ModelSource::find(name, config.source_path.as_deref()).map_err(fail)?;
    if source.folder().is_none() {
        return Err(fail("it is not in the hub's cache yet; `replay check` downloads it".into()));
    }
    let files = ModelFiles::read(Role::Rlvr, &source)?;
    Family::of(&files.config)?.size(&files.config, "num_hidden_layers")
}
