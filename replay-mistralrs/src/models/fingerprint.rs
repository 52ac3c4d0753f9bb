//! Fingerprints of models: hashes of their files.
use std::path::Path;

use replay_core::Role;
use replay_core::config::Config;

use crate::config::table::EngineTable;
use crate::error::AttachError;
use crate::models::source::ModelSource;

/// The blake3 hash of the names and contents of `config.json` and all weight files, or of the model's id where the files are not present.
///
/// # Errors
/// If a file cannot be read.
pub(crate) fn model_fingerprint(source: &ModelSource) -> std::io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    match source.folder().filter(|folder| folder.is_dir()) {
        Some(folder) => hash_files(&mut hasher, &folder)?,
        None => {
            hasher.update(source.id.as_bytes());
        }
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// A hash of both models of a configuration and of the placements with which they are loaded.
///
/// # Errors
/// If a model is not found or its files cannot be read.
pub fn identity(config: &Config) -> Result<String, AttachError> {
    let table = EngineTable::read(config)?;
    let mut hasher = blake3::Hasher::new();
    for (role, name) in [(Role::Base, &config.pair.base), (Role::Rlvr, &config.pair.rlvr)] {
        let fail = |why: String| AttachError::Load { role, id: name.clone(), why };
        let source = ModelSource::find(name, config.source_path.as_deref()).map_err(fail)?;
        let weights =
            model_fingerprint(&source).map_err(|e| AttachError::Load { role, id: name.clone(), why: e.to_string() })?;
        let placement = table.placement(role);
        hasher.update(weights.as_bytes()).update(
            format!("{:?} {:?} {:?} {:?}", placement.dtype, placement.device, placement.isq, placement.topology)
                .as_bytes(),
        );
    }
    Ok(hasher.finalize().to_hex().to_string())
}

fn hash_files(hasher: &mut blake3::Hasher, folder: &Path) -> std::io::Result<()> {
    let is_weights = |path: &Path| {
        path.extension()
            .is_some_and(|ext| ["safetensors", "bin", "pth", "gguf", "uqff"].iter().any(|known| ext == *known))
    };
    let is_hashed = |path: &Path| path.file_name().is_some_and(|name| name == "config.json") || is_weights(path);
    let entries = std::fs::read_dir(folder)?.collect::<std::io::Result<Vec<_>>>()?;
    let mut paths: Vec<_> = entries.iter().map(std::fs::DirEntry::path).filter(|path| is_hashed(path)).collect();
    paths.sort();
    for path in paths {
        if let Some(name) = path.file_name() {
            hasher.update(name.as_encoded_bytes()).update(&[0]);
        }
        // The length comes first, so that two files cannot hash like one.
        hasher.update(&std::fs::metadata(&path)?.len().to_le_bytes());
        // Memory-mapped and on all cores for speed; the loader then finds the file in the page cache.
        hasher.update_mmap_rayon(&path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(folder: &Path) -> String {
        model_fingerprint(&ModelSource::find(&folder.to_string_lossy(), None).unwrap()).unwrap()
    }

    #[test]
    fn one_changed_byte_changes_the_fingerprint() {
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
