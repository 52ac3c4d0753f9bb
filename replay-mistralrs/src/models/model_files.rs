//! The JSON files of a checkpoint.
use std::path::Path;

use replay_core::Role;
use serde_json::Value;

use crate::error::AttachError;
use crate::models::config_layout::translate_config;
use crate::models::source::ModelSource;

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
}

impl ModelFiles {
    /// Reads the files of a model.
    ///
    /// # Errors
    /// If `config.json` or `tokenizer.json` is missing or not JSON.
    pub(crate) fn read(role: Role, source: &ModelSource) -> Result<Self, AttachError> {
        let fail = |why: String| AttachError::Load { role, id: source.id.clone(), why };
        let folder = source.folder().ok_or_else(|| fail("its files are not in the hub's cache".into()))?;
        let read_json = |path: &Path| -> Result<Value, AttachError> {
            let text = std::fs::read_to_string(path).map_err(|e| fail(format!("{}: {e}", path.display())))?;
            serde_json::from_str(&text).map_err(|e| fail(format!("{}: {e}", path.display())))
        };
        let mut config = read_json(&folder.join("config.json"))?;
        Ok(Self {
            translated: translate_config(&mut config),
            config,
            tokenizer: read_json(&folder.join("tokenizer.json"))?,
            // Some RLVR checkpoints lack one. If the engine needs it, the engine reports it when it loads the model.
            preprocessor: read_json(&folder.join("preprocessor_config.json")).unwrap_or(Value::Null),
            processor: read_json(&folder.join("processor_config.json")).unwrap_or(Value::Null),
        })
    }
}
