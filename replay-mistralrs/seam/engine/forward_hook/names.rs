//! Tensors under the names that newer libraries and trainers write. A model asks for the names of transformers 4; the same tensor may be
//! stored behind other prefixes (`model.language_model.` for `model.`, `module.` or `base_model.model.` in front of all).
use std::{
    collections::{hash_map::Entry, HashMap},
    fs::File,
    io::Read,
    path::PathBuf,
};

use candle_core::{DType, Device, Result, Shape, Tensor};
use candle_nn::{var_builder::SimpleBackend, Init};
use mistralrs_quant::{ShardedSafeTensors, ShardedVarBuilder};

/// Parts of a name that wrappers of training add, wherever they stand.
const WRAPPERS: [&str; 4] =
    ["_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module"];
/// Parts in front of a name that differ between versions and trainers.
const PREFIXES: [&str; 4] = ["module", "base_model", "model", "language_model"];

/// The part of a tensor's name that all versions and trainers share: `layers.0.mlp.up_proj.weight`, `visual.patch_embed.proj.weight`.
pub fn plain_name(name: &str) -> String {
    let parts = name.split('.').filter(|part| !WRAPPERS.contains(part));
    parts.skip_while(|part| PREFIXES.contains(part)).collect::<Vec<_>>().join(".")
}

/// The stored name of each plain name; `None` where two tensors share one.
struct StoredNames(HashMap<String, Option<String>>);

impl StoredNames {
    fn new(names: impl Iterator<Item = String>) -> Self {
        let mut stored = HashMap::new();
        for name in names {
            match stored.entry(plain_name(&name)) {
                Entry::Occupied(mut entry) => drop(entry.insert(None)),
                Entry::Vacant(entry) => drop(entry.insert(Some(name))),
            }
        }
        Self(stored)
    }

    fn find(&self, wanted: &str) -> Option<&str> {
        self.0.get(&plain_name(wanted))?.as_deref()
    }
}

/// The names in the headers of these files; `None` if one is not in the format of safetensors.
fn list_names(files: &[PathBuf]) -> Option<Vec<String>> {
    let mut names = Vec::new();
    for file in files {
        let mut file = File::open(file).ok()?;
        let mut length = [0; 8];
        file.read_exact(&mut length).ok()?;
        let mut header = Vec::new();
        file.take(u64::from_le_bytes(length)).read_to_end(&mut header).ok()?;
        let header: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&header).ok()?;
        names.extend(header.into_iter().map(|(name, _)| name).filter(|name| name != "__metadata__"));
    }
    Some(names)
}

/// Whether the name may be one that a model asks for in another form.
fn is_prefixed(name: &str) -> bool {
    let mut parts = name.split('.');
    let wrapped = name.split('.').any(|part| WRAPPERS.contains(&part));
    wrapped
        || match (parts.next(), parts.next()) {
            (Some("model"), Some(second)) => !["layers", "embed_tokens", "norm"].contains(&second),
            (Some(first), _) => PREFIXES[..2].contains(&first),
            _ => false,
        }
}

struct RenamedBackend {
    own: ShardedVarBuilder,
    stored: StoredNames,
}

impl RenamedBackend {
    fn name<'a>(&'a self, wanted: &'a str) -> &'a str {
        match self.own.contains_tensor(wanted) {
            true => wanted,
            false => self.stored.find(wanted).unwrap_or(wanted),
        }
    }
}

impl SimpleBackend for RenamedBackend {
    fn get(&self, shape: Shape, name: &str, _: Init, dtype: DType, device: &Device) -> Result<Tensor> {
        let own = self.own.clone().set_device(device.clone());
        own.get_with_hints_dtype(shape, self.name(name), Default::default(), dtype)
    }

    fn get_unchecked(&self, name: &str, dtype: DType, device: &Device) -> Result<Tensor> {
        self.own.clone().set_device(device.clone()).get_unchecked_dtype(self.name(name), dtype)
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.own.contains_tensor(self.name(name))
    }
}

/// Makes the tensors of these files found under the names of transformers 4 too, if some have other names.
pub(super) fn renamed(own: ShardedVarBuilder, files: &[PathBuf]) -> ShardedVarBuilder {
    let Some(names) = list_names(files).filter(|names| names.iter().any(|name| is_prefixed(name))) else { return own };
    let (dtype, device) = (own.dtype(), own.device().clone());
    let stored = StoredNames::new(names.into_iter());
    ShardedSafeTensors::wrap(Box::new(RenamedBackend { own, stored }), dtype, device)
}
