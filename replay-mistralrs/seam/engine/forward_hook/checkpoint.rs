//! Loading a model from files that are completed and edited on the way: trainers leave files out, and newer libraries write others.
use std::{
    cell::RefCell,
    path::{Path, PathBuf},
};

use anyhow::Error;

/// Completes and edits the files of the multimodal models that a thread loads. An error ends the load.
pub trait Checkpoint {
    /// The names of all files, given those in the folder or on the hub.
    fn list(&mut self, files: Vec<String>) -> Result<Vec<String>, String>;

    /// The place of a file that is not read from the folder or the hub.
    fn provide(&mut self, file: &str) -> Result<Option<PathBuf>, String>;

    /// The place of a file to read instead of the one that was found.
    fn replace(&mut self, file: &str, found: &Path) -> Result<Option<PathBuf>, String>;

    /// The text of `config.json`. The loader reads only weights that it asks for, so a smaller layer count loads fewer layers.
    fn config(&mut self, text: String) -> Result<String, String>;

    /// The text of `preprocessor_config.json`, given that of `processor_config.json`.
    fn preprocessor(&mut self, text: String, processor: Option<&str>) -> Result<String, String>;
}

thread_local! {
    static CHECKPOINT: RefCell<Option<Box<dyn Checkpoint>>> = const { RefCell::new(None) };
}

/// Runs `load` with the files of the models that it loads completed and edited.
pub fn with_checkpoint<T>(checkpoint: impl Checkpoint + 'static, load: impl FnOnce() -> T) -> T {
    struct Clear;
    impl Drop for Clear {
        fn drop(&mut self) {
            CHECKPOINT.set(None);
        }
    }
    CHECKPOINT.set(Some(Box::new(checkpoint)));
    let _clear = Clear;
    load()
}

fn ask<T>(without: T, f: impl FnOnce(&mut dyn Checkpoint, T) -> Result<T, String>) -> anyhow::Result<T> {
    CHECKPOINT.with_borrow_mut(|checkpoint| match checkpoint {
        Some(checkpoint) => f(&mut **checkpoint, without).map_err(Error::msg),
        None => Ok(without),
    })
}

pub(crate) fn listed(files: Vec<String>) -> anyhow::Result<Vec<String>> {
    ask(files, |checkpoint, files| checkpoint.list(files))
}

/// The place of a file: provided, or found and perhaps replaced.
pub(crate) fn file(file: &str, find: impl FnOnce() -> anyhow::Result<PathBuf>) -> anyhow::Result<PathBuf> {
    if let Some(provided) = ask(None, |checkpoint, _| checkpoint.provide(file))? {
        return Ok(provided);
    }
    let found = find()?;
    let replaced = ask(None, |checkpoint, _| checkpoint.replace(file, &found))?;
    Ok(replaced.unwrap_or(found))
}

pub(crate) fn edited_config(config: String) -> anyhow::Result<String> {
    ask(config, |checkpoint, config| checkpoint.config(config))
}

pub(crate) fn edited_preprocessor(text: String, processor: Option<&str>) -> anyhow::Result<String> {
    ask(text, |checkpoint, text| checkpoint.preprocessor(text, processor))
}
