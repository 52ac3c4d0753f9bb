//! What the two models hold once. RLVR training often leaves the vision tower, the embeddings or the head as they were.
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mistralrs_core::forward_hook::WeightPool;

use crate::config::table::EngineTable;
use crate::models::source::ModelSource;

/// A pool for a base to fill, and for the RLVR model of this source to take from, whoever loads it.
pub(crate) fn pool(rlvr: &ModelSource, table: &EngineTable) -> Arc<WeightPool> {
    let quantised = [&table.base, &table.rlvr].iter().any(|place| place.isq.is_some() || place.topology.is_some());
    let rlvr = rlvr.clone();
    WeightPool::open(move |name| stays_as_it_is(name, quantised), move |files| are_of(&rlvr, files))
}

/// Whether a loaded model holds a tensor as it stands in the file: what it quantises or rearranges would be held beside its own.
fn stays_as_it_is(name: &str, quantised: bool) -> bool {
    if quantised { name.contains("embed_tokens") } else { !name.contains("experts") }
}

fn are_of(source: &ModelSource, files: &[PathBuf]) -> bool {
    let place = |path: &Path| path.canonicalize().ok();
    // Files of a hub's snapshot are links to elsewhere: their folder tells.
    let folder = source.folder().and_then(|folder| place(&folder));
    folder.is_some() && files.first().and_then(|file| place(file.parent()?)) == folder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantised_model_shares_its_embeddings_alone() {
        let (embedding, head, experts) = ("model.embed_tokens.weight", "lm_head.weight", "mlp.experts.gate_up_proj");
        assert_eq!([embedding, head, experts].map(|name| stays_as_it_is(name, false)), [true, true, false]);
        assert_eq!([embedding, head, experts].map(|name| stays_as_it_is(name, true)), [true, false, false]);
    }

    #[test]
    fn the_files_of_a_model_are_known_by_their_folder() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        for folder in [&one, &other] {
            std::fs::create_dir(folder).unwrap();
        }
        let source = ModelSource::find(&one.to_string_lossy(), None).unwrap();
        assert!(are_of(&source, &[one.join("model-1.safetensors"), one.join("model-2.safetensors")]));
        assert!(are_of(&source, &[other.join("../one/model.safetensors")]));
        assert!(!are_of(&source, &[other.join("model.safetensors")]));
        assert!(!are_of(&source, &[]));
    }
}
