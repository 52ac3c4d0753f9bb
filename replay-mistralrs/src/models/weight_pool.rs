//! Weights that the two models share. RLVR training often leaves the vision tower, the embeddings or the head unchanged; equal tensors are
//! held once in memory.
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mistralrs_core::forward_hook::WeightPool;

use crate::config::table::EngineTable;
use crate::models::source::ModelSource;

/// Opens the weight pool of a pair: the base fills it when it is loaded, and the RLVR model takes equal tensors from it when it is loaded.
pub(crate) fn weight_pool(rlvr: &ModelSource, table: &EngineTable) -> Arc<WeightPool> {
    let quantised = [&table.base, &table.rlvr].iter().any(|place| place.isq.is_some() || place.topology.is_some());
    let rlvr = rlvr.clone();
    WeightPool::open(move |name| is_loaded_unchanged(name, quantised), move |files| is_model_of(&rlvr, files))
}

/// Whether a loaded model holds the tensor as its file does. Sharing a tensor that the engine quantises or rearranges would keep a second copy.
fn is_loaded_unchanged(name: &str, quantised: bool) -> bool {
    if quantised { name.contains("embed_tokens") } else { !name.contains("experts") }
}

/// Whether these weight files are those of this model.
fn is_model_of(source: &ModelSource, files: &[PathBuf]) -> bool {
    let canonical = |path: &Path| path.canonicalize().ok();
    // The files of a hub snapshot are symbolic links, so their folders are compared.
    let folder = source.folder().and_then(|folder| canonical(&folder));
    folder.is_some() && files.first().and_then(|file| canonical(file.parent()?)) == folder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantised_model_shares_only_its_embeddings() {
        let (embedding, head, experts) = ("model.embed_tokens.weight", "lm_head.weight", "mlp.experts.gate_up_proj");
        assert_eq!([embedding, head, experts].map(|name| is_loaded_unchanged(name, false)), [true, true, false]);
        assert_eq!([embedding, head, experts].map(|name| is_loaded_unchanged(name, true)), [true, false, false]);
    }

    #[test]
    fn weight_files_are_matched_by_their_folder() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        for folder in [&one, &other] {
            std::fs::create_dir(folder).unwrap();
        }
        let source = ModelSource::find(&one.to_string_lossy(), None).unwrap();
        assert!(is_model_of(&source, &[one.join("model-1.safetensors"), one.join("model-2.safetensors")]));
        assert!(is_model_of(&source, &[other.join("../one/model.safetensors")]));
        assert!(!is_model_of(&source, &[other.join("model.safetensors")]));
        assert!(!is_model_of(&source, &[]));
    }
}
