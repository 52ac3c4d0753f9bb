//! The location of a model: a directory or a hub id.
use std::path::{Path, PathBuf};

use replay_core::Role;
use replay_core::config::Config;

use crate::error::AttachError;

/// A model that a configuration names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ModelSource {
    /// The id that the engine's loader takes: a directory or a hub id.
    pub(crate) id: String,
    directory: Option<PathBuf>,
    /// The other model of the pair, for files that this one lacks.
    spare: Option<Box<ModelSource>>,
}

impl ModelSource {
    /// Resolves a name: a directory relative to the folder of the configuration or to the working directory, or else a hub id.
    ///
    /// # Errors
    /// If the name can only be a path and there is no such directory.
    pub(crate) fn find(name: &str, config: Option<&Path>) -> Result<Self, String> {
        let in_config_folder = config.and_then(Path::parent).map(|folder| folder.join(name));
        let directory = in_config_folder.into_iter().chain([PathBuf::from(name)]).find(|path| path.is_dir());
        if let Some(directory) = directory {
            return Ok(Self { id: directory.to_string_lossy().into_owned(), directory: Some(directory), spare: None });
        }
        let is_path = name.starts_with(['.', '/', '~', '\\']) || name.matches('/').count() != 1;
        if is_path || config.and_then(Path::parent).is_some_and(|folder| folder.join(name).exists()) {
            return Err("there is no such directory, and a hub id has the form owner/name".into());
        }
        Ok(Self { id: name.into(), directory: None, spare: None })
    }

    /// Resolves the two names of a configuration, base first. Each model may take files that it lacks from the other.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub(crate) fn find_pair(config: &Config) -> Result<(Self, Self), AttachError> {
        let find = |role, name: &str| {
            let fail = |why| AttachError::Load { role, id: name.into(), why };
            Self::find(name, config.source_path.as_deref()).map_err(fail)
        };
        let (base, rlvr) = (find(Role::Base, &config.pair.base)?, find(Role::Rlvr, &config.pair.rlvr)?);
        Ok((base.clone().with_spare(&rlvr), rlvr.with_spare(&base)))
    }

    /// The same model, which takes files that it lacks from the other.
    pub(crate) fn with_spare(self, other: &Self) -> Self {
        Self { spare: Some(Box::new(other.clone())), ..self }
    }

    /// The folder of the other model of the pair, if it is known.
    pub(crate) fn spare(&self) -> Option<PathBuf> {
        self.spare.as_ref()?.folder()
    }

    pub(crate) fn is_local(&self) -> bool {
        self.directory.is_some()
    }

    /// The folder of the model's files: the directory, or the snapshot in the hub's cache; `None` if it was not downloaded.
    pub(crate) fn folder(&self) -> Option<PathBuf> {
        if let Some(directory) = &self.directory {
            return Some(directory.clone());
        }
        let cache = mistralrs_core::hf_hub_cache_dir()?.join(format!("models--{}", self.id.replace('/', "--")));
        let commit = std::fs::read_to_string(cache.join("refs/main")).ok()?;
        Some(cache.join("snapshots").join(commit.trim()))
    }

    /// Whether the pipeline of this name serves the model.
    pub(crate) fn is_served_by(&self, pipeline: &str) -> bool {
        let same_folder = || Some(Path::new(pipeline).canonicalize().ok()? == self.folder()?.canonicalize().ok()?);
        self.id == pipeline || same_folder().unwrap_or(false)
    }
}

/// Whether `model_id`, as it stands in the engine's file, is the RLVR model of this configuration.
pub fn is_rlvr_model(config: &Config, model_id: &str) -> bool {
    let rlvr = ModelSource::find(&config.pair.rlvr, config.source_path.as_deref());
    rlvr.is_ok_and(|source| model_id == config.pair.rlvr || source.is_served_by(model_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_relative_to_the_configuration_and_other_names_are_hub_ids() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let source = ModelSource::find("src", Some(&folder.join("replay.toml"))).unwrap();
        assert_eq!(source.folder(), Some(folder.join("src")));
        assert!(source.is_served_by(&folder.join("src").to_string_lossy()));
        assert!(!ModelSource::find("Qwen/Qwen2.5-VL-7B-Instruct", None).unwrap().is_local());
        for missing in ["./nowhere", "/nowhere/at/all", "nowhere", "a/b/c"] {
            assert!(ModelSource::find(missing, None).is_err(), "{missing}");
        }
    }
}
