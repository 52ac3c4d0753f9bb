//! Do the two models see with the same eyes? RL often leaves the vision tower frozen; then what one model has encoded the other need not.
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use safetensors::tensor::Metadata;

use crate::models::source::ModelSource;

/// A hash over every tensor whose name begins so: its name, type, shape and bytes, whichever file it lies in. `None` if there is none.
///
/// # Errors
/// If a file cannot be read.
pub(crate) fn hash(source: &ModelSource, prefixes: &[&str]) -> io::Result<Option<blake3::Hash>> {
    let Some(folder) = source.folder().filter(|folder| folder.is_dir()) else { return Ok(None) };
    let mut tensors = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "safetensors") {
            tensors.extend(list(&path, prefixes)?);
        }
    }
    let mut hasher = blake3::Hasher::new();
    for (name, Stored { path, kind, start, length }) in &tensors {
        hasher.update(format!("{name} {kind} {length}\n").as_bytes());
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(*start))?;
        io::copy(&mut file.take(*length), &mut hasher)?;
    }
    Ok((!tensors.is_empty()).then(|| hasher.finalize()))
}

/// Where a tensor lies.
struct Stored {
    path: PathBuf,
    /// Type and shape.
    kind: String,
    start: u64,
    length: u64,
}

fn list(path: &Path, prefixes: &[&str]) -> io::Result<Vec<(String, Stored)>> {
    let mut file = File::open(path)?;
    let mut length = [0; 8];
    file.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    let mut header = Vec::new();
    // A length that is no length must not be allocated.
    file.take(length).read_to_end(&mut header)?;
    let metadata: Metadata = serde_json::from_slice(&header)?;
    let data = 8 + length;
    let wanted =
        metadata.tensors().into_iter().filter(|(name, _)| prefixes.iter().any(|prefix| name.starts_with(prefix)));
    let stored = wanted.map(|(name, info)| {
        let (start, end) = info.data_offsets;
        let kind = format!("{:?} {:?}", info.dtype, info.shape);
        (name, Stored { path: path.into(), kind, start: data + start as u64, length: (end - start) as u64 })
    });
    Ok(stored.collect())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use candle_core::{Device, Tensor};

    use super::*;

    #[test]
    fn only_the_encoder_counts_and_not_the_file_it_lies_in() {
        let tensor = |value: f32| Tensor::new(&[value, 2.0], &Device::Cpu).unwrap();
        let model = |files: &[&[(&str, f32)]]| {
            let folder = tempfile::tempdir().unwrap();
            for (index, file) in files.iter().enumerate() {
                let tensors: HashMap<_, _> = file.iter().map(|(name, value)| (*name, tensor(*value))).collect();
                candle_core::safetensors::save(&tensors, folder.path().join(format!("{index}.safetensors"))).unwrap();
            }
            let source = ModelSource::find(&folder.path().to_string_lossy(), None).unwrap();
            hash(&source, &["visual."]).unwrap()
        };
        let one = model(&[&[("visual.a", 1.0), ("visual.b", 2.0), ("lm_head", 3.0)]]);
        assert!(one.is_some());
        assert_eq!(model(&[&[("visual.b", 2.0)], &[("visual.a", 1.0), ("lm_head", 4.0)]]), one);
        assert_ne!(model(&[&[("visual.a", 1.0), ("visual.b", 2.5)]]), one);
        assert_eq!(model(&[&[("lm_head", 3.0)]]), None);
    }
}
