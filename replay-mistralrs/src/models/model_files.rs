//! The JSON files of a checkpoint.
use replay_core::Role;
use serde_json::Value;

use crate::error::AttachError;
use crate::models::checkpoint::SmallFiles;
use crate::models::config_layout::translate_config;
use crate::models::source::ModelSource;
use crate::models::weight_files::check_weight_files;

/// The JSON files of one model.
#[derive(Debug)]
pub(crate) struct ModelFiles {
    /// `config.json`, in the layout that the engine reads.
    pub(crate) config: Value,
    /// Whether the file has another layout, that of transformers 5.
    pub(crate) translated: bool,
    /// `tokenizer.json`.
    pub(crate) tokenizer: Value,
    /// `preprocessor_config.json`; null if it is absent.
    pub(crate) preprocessor: Value,
    /// `processor_config.json`; null if it is absent.
    pub(crate) processor: Value,
    /// What was taken from the other model of the pair or left out, for users.
    pub(crate) remarks: Vec<String>,
}

impl ModelFiles {
    /// Reads the files of a model, and checks that a local one has all its weights.
    ///
    /// # Errors
    /// If a file is missing, cut off or not JSON.
    pub(crate) fn read(role: Role, source: &ModelSource) -> Result<Self, AttachError> {
        let fail = |why: String| AttachError::Load { role, id: source.id.clone(), why };
        let folder = source.folder().ok_or_else(|| fail("its files are not in the hub's cache".into()))?;
        if source.is_local() {
            check_weight_files(&folder).map_err(fail)?;
        }
        let path = folder.join("config.json");
        let text = std::fs::read_to_string(&path).map_err(|e| fail(format!("{}: {e}", path.display())))?;
        let mut config = serde_json::from_str(&text).map_err(|e| fail(format!("{}: {e}", path.display())))?;
        let SmallFiles { tokenizer, preprocessor, processor, remarks, .. } = SmallFiles::read(source).map_err(fail)?;
        Ok(Self { translated: translate_config(&mut config), config, tokenizer, preprocessor, processor, remarks })
    }
}
