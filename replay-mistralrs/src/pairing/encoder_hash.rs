//! Hashes the weights of vision tower and projector. RLVR training often freezes them; if both models have the same, they run once per prompt.
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use mistralrs_core::forward_hook::plain_name;
use safetensors::tensor::Metadata;

use crate::models::source::ModelSource;

/// Hashes name, type, shape and bytes of every tensor whose name starts with one of `names`, whichever file holds it. `None` if there is no
/// such tensor.
///
/// # Errors
/// If a file cannot be read.
pub(crate) fn encoder_hash(source: &ModelSource, names: &[&str]) -> io::Result<Option<blake3::Hash>> {
    let Some(folder) = source.folder().filter(|folder| folder.is_dir()) else { return Ok(None) };
    let mut tensors = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "safetensors") {
            tensors.extend(list_tensors(&path, names)?);
        }
    }
    let mut hasher = blake3::Hasher::new();
    for (name, TensorBytes { path, kind, start, length }) in &tensors {
        hasher.update(format!("{name} {kind} {length}\n").as_bytes());
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(*start))?;
        io::copy(&mut file.take(*length), &mut hasher)?;
    }
    Ok((!tensors.is_empty()).then(|| hasher.finalize()))
}

/// The place of a tensor's bytes.
struct TensorBytes {
    path: PathBuf,
    /// Type and shape, as text.
    kind: String,
    start: u64,
    length: u64,
}

/// The tensors of one safetensors file whose names start with one of `names`.
fn list_tensors(path: &Path, names: &[&str]) -> io::Result<Vec<(String, TensorBytes)>> {
    let mut file = File::open(path)?;
    let mut length = [0; 8];
    file.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    let mut header = Vec::new();
    // Read up to the length instead of allocating it, since a corrupt file may hold any number.
    file.take(length).read_to_end(&mut header)?;
    let metadata: Metadata = serde_json::from_slice(&header)?;
    let data = 8 + length;
    // A trainer may have saved one of the two models under other names.
    let starts: Vec<String> = names.iter().map(|start| plain_name(start)).collect();
    let of_encoder = metadata.tensors().into_iter().map(|(name, info)| (plain_name(&name), info));
    let of_encoder = of_encoder.filter(|(name, _)| starts.iter().any(|start| name.starts_with(start)));
    let tensors = of_encoder.map(|(name, info)| {
        let (start, end) = info.data_offsets;
        let kind = format!("{:?} {:?}", info.dtype, info.shape);
        (name, TensorBytes { path: path.into(), kind, start: data + start as u64, length: (end - start) as u64 })
    });
    Ok(tensors.collect())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use candle_core::{Device, Tensor};

    use super::*;

    #[test]
    fn the_hash_covers_only_encoder_tensors_whichever_file_holds_them() {
        let tensor = |value: f32| Tensor::new(&[value, 2.0], &Device::Cpu).unwrap();
        let model = |files: &[&[(&str, f32)]]| {
            let folder = tempfile::tempdir().unwrap();
            for (index, file) in files.iter().enumerate() {
                let tensors: HashMap<_, _> = file.iter().map(|(name, value)| (*name, tensor(*value))).collect();
                candle_core::safetensors::save(&tensors, folder.path().join(format!("{index}.safetensors"))).unwrap();
            }
            let source = ModelSource::find(&folder.path().to_string_lossy(), None).unwrap();
            encoder_hash(&source, &["visual."]).unwrap()
        };
        let one = model(&[&[("visual.a", 1.0), ("visual.b", 2.0), ("lm_head", 3.0)]]);
        assert!(one.is_some());
        assert_eq!(model(&[&[("visual.b", 2.0)], &[("visual.a", 1.0), ("lm_head", 4.0)]]), one);
        assert_eq!(model(&[&[("module.model.visual.b", 2.0), ("model.visual.a", 1.0)]]), one);
        assert_ne!(model(&[&[("visual.a", 1.0), ("visual.b", 2.5)]]), one);
        assert_eq!(model(&[&[("lm_head", 3.0)]]), None);
    }
}
