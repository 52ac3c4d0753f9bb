//! The identity of a model's files.
use std::path::Path;

use replay_core::Role;
use replay_core::config::Config;

use crate::config::table::EngineTable;
use crate::error::AttachError;
use crate::models::source::ModelSource;

/// A blake3 hash of `config.json` and every weight file, names and contents; of the model's name where there are no files to read.
///
/// # Errors
/// If a file cannot be read.
pub(crate) fn of(source: &ModelSource) -> std::io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    match source.folder().filter(|folder| folder.is_dir()) {
        Some(folder) => files(&mut hasher, &folder)?,
        None => {
            hasher.update(source.id.as_bytes());
        }
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// The identity of both models of a configuration and of how they are loaded.
///
/// # Errors
/// If a model or its files cannot be read.
pub fn identity(config: &Config) -> Result<String, AttachError> {
    let table = EngineTable::read(config)?;
    let mut hasher = blake3::Hasher::new();
    for (role, name) in [(Role::Base, &config.pair.base), (Role::Rlvr, &config.pair.rlvr)] {
        let fail = |why: String| AttachError::Load { role, id: name.clone(), why };
        let source = ModelSource::find(name, config.source_path.as_deref()).map_err(fail)?;
        let weights = of(&source).map_err(|e| AttachError::Load { role, id: name.clone(), why: e.to_string() })?;
        let placement = table.of(role);
        hasher.update(weights.as_bytes()).update(
            format!("{:?} {:?} {:?} {:?}", placement.dtype, placement.device, placement.isq, placement.topology)
                .as_bytes(),
        );
    }
    Ok(hasher.finalize().to_hex().to_string())
}

fn files(hasher: &mut blake3::Hasher, folder: &Path) -> std::io::Result<()> {
    let weights = |path: &Path| {
        path.extension()
            .is_some_and(|ext| ["safetensors", "bin", "pth", "gguf", "uqff"].iter().any(|known| ext == *known))
    };
    let wanted = |path: &Path| path.file_name().is_some_and(|name| name == "config.json") || weights(path);
    let entries = std::fs::read_dir(folder)?.collect::<std::io::Result<Vec<_>>>()?;
    let mut paths: Vec<_> = entries.iter().map(std::fs::DirEntry::path).filter(|path| wanted(path)).collect();
    paths.sort();
    for path in paths {
        if let Some(name) = path.file_name() {
            hasher.update(name.as_encoded_bytes()).update(&[0]);
        }
        // Length first, so that files cannot run into each other.
        hasher.update(&std::fs::metadata(&path)?.len().to_le_bytes());
        // Mapped and on all cores: gigabytes a second, and the loader finds the file in memory afterwards.
        hasher.update_mmap_rayon(&path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(folder: &Path) -> String {
        of(&ModelSource::find(&folder.to_string_lossy(), None).unwrap()).unwrap()
    }

    #[test]
    fn one_changed_byte_is_another_model() {
        let folder = tempfile::tempdir().unwrap();
        let weights = folder.path().join("model.safetensors");
        std::fs::write(folder.path().join("config.json"), "{}").unwrap();
        std::fs::write(&weights, vec![7; 100_000]).unwrap();
        let first = hash(folder.path());
        std::fs::write(folder.path().join("README.md"), "nothing").unwrap();
        assert_eq!(hash(folder.path()), first);
        let mut changed = vec![7; 100_000];
        changed[70_000] = 8;
        std::fs::write(&weights, changed).unwrap();
        assert_ne!(hash(folder.path()), first);
    }
}
