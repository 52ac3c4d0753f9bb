//! What layouts read of a model: its configuration files and special tokens.
use std::collections::HashMap;

use serde_json::Value;

use crate::models::model_files::ModelFiles;

/// The configuration files of one model, and its special tokens.
#[derive(Debug)]
pub struct ModelMetadata {
    /// `config.json`.
    pub config: Value,
    /// `preprocessor_config.json`; null if there is none.
    pub preprocessor: Value,
    /// `processor_config.json`; null if there is none.
    pub processor: Value,
    /// Ids of the special tokens, by text.
    special: HashMap<String, u32>,
}

impl ModelMetadata {
    /// Reads what these files say.
    pub(crate) fn new(files: &ModelFiles) -> Self {
        let ModelFiles { config, tokenizer, preprocessor, processor, .. } = files;
        let added = tokenizer["added_tokens"].as_array().into_iter().flatten();
        let special = added.filter_map(|token| Some((token["content"].as_str()?.into(), token["id"].as_u64()? as u32)));
        Self {
            special: special.collect(),
            config: config.clone(),
            preprocessor: preprocessor.clone(),
            processor: processor.clone(),
        }
    }

    /// The id of a special token.
    ///
    /// # Errors
    /// If the tokenizer has none of that name.
    pub fn token(&self, name: &str) -> std::result::Result<u32, String> {
        self.special.get(name).copied().ok_or_else(|| format!("the tokenizer has no token {name}"))
    }

    /// The number at a path of `config.json`.
    ///
    /// # Errors
    /// If there is no number at that path.
    pub fn number(&self, path: &str) -> std::result::Result<usize, String> {
        let number = self.config.pointer(path).and_then(Value::as_u64);
        number.map(|number| number as usize).ok_or_else(|| format!("config.json has no number at {path}"))
    }
}
