//! The descriptive files of a checkpoint.
use std::path::Path;

use replay_core::Role;
use serde_json::Value;

use crate::error::AttachError;
use crate::models::config_layout::translate;
use crate::models::source::ModelSource;

/// The descriptive files of one model.
#[derive(Debug)]
pub(crate) struct ModelFiles {
    /// As the engine reads it.
    pub(crate) config: Value,
    /// Whether the file says it otherwise.
    pub(crate) translated: bool,
    pub(crate) tokenizer: Value,
    pub(crate) preprocessor: Value,
    pub(crate) processor: Value,
}

impl ModelFiles {
    /// # Errors
    /// If a file is missing or not JSON.
    pub(crate) fn read(role: Role, source: &ModelSource) -> Result<Self, AttachError> {
        let fail = |why: String| AttachError::Load { role, id: source.id.clone(), why };
        let folder = source.folder().ok_or_else(|| fail("its files are not in the hub's cache".into()))?;
        let json = |path: &Path| -> Result<Value, AttachError> {
            let text = std::fs::read_to_string(path).map_err(|e| fail(format!("{}: {e}", path.display())))?;
            serde_json::from_str(&text).map_err(|e| fail(format!("{}: {e}", path.display())))
        };
        let mut config = json(&folder.join("config.json"))?;
        Ok(Self {
            translated: translate(&mut config),
            config,
            tokenizer: json(&folder.join("tokenizer.json"))?,
            // Some RLVR checkpoints come without one; then the engine says so when it loads the model that is served.
            preprocessor: json(&folder.join("preprocessor_config.json")).unwrap_or(Value::Null),
            processor: json(&folder.join("processor_config.json")).unwrap_or(Value::Null),
        })
    }
}
