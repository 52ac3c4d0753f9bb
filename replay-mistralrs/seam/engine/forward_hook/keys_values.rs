//! Copies of a sequence's keys and values.
use candle_core::{Result, Tensor};

use crate::{
    kv_cache::{EitherCache, KvCache},
    sequence::Sequence,
};

/// Keys and values of one layer; `None` for a layer that reads another layer's.
pub(super) type LayerKeysValues = Option<(Tensor, Tensor)>;

/// Keys and values of the first positions of one sequence, `[1, heads, positions, head_dim]` for each layer that stores its own.
#[derive(Debug)]
pub struct KeysValues {
    pub(super) layers: Vec<LayerKeysValues>,
    positions: usize,
}

impl KeysValues {
    /// Number of positions that each layer holds.
    pub fn positions(&self) -> usize {
        self.positions
    }

    /// Size of all tensors, in bytes.
    pub fn bytes(&self) -> u64 {
        let size = |t: &Tensor| (t.elem_count() * t.dtype().size_in_bytes()) as u64;
        self.layers.iter().flatten().map(|(k, v)| size(k) + size(v)).sum()
    }

    /// Copies the sequence's own cache, which the engine overwrites in place. `None` if a layer has dropped its first positions.
    pub(super) fn from_sequence(sequence: &mut Sequence) -> Result<Option<Self>> {
        if sequence.normal_cache().iter().any(Option::is_some) {
            Self::from_layers(sequence.normal_cache())
        } else {
            Self::copy_from(sequence.cache().to_vec())
        }
    }

    /// Copies the model's cache, which holds the batch that just ran. `None` if a layer is recurrent or has dropped its first positions.
    pub(super) fn from_cache(cache: &EitherCache) -> Result<Option<Self>> {
        match cache {
            EitherCache::Normal(_) => {
                let layers: Vec<_> = cache.normal().0.iter().cloned().map(Some).collect();
                Self::from_layers(&layers)
            }
            EitherCache::Full(layers) => Self::copy_from(layers.lock().to_vec()),
            EitherCache::Hybrid(_) => Ok(None),
        }
    }

    fn from_layers(layers: &[Option<KvCache>]) -> Result<Option<Self>> {
        let mut tensors = Vec::with_capacity(layers.len());
        for layer in layers {
            let Some(own) = layer.as_ref().filter(|layer| !layer.is_shared()) else {
                tensors.push(None);
                continue;
            };
            if matches!(own, KvCache::Rotating { k, .. } if k.current_seq_len() > k.max_seq_len()) {
                return Ok(None);
            }
            let (Some(k), Some(v)) = (own.k()?, own.v()?) else { return Ok(None) };
            tensors.push(Some((k, v)));
        }
        Self::copy_from(tensors)
    }

    /// Copies the tensors of all layers. `None` unless all layers hold the same number of positions.
    pub(super) fn copy_from(layers: Vec<LayerKeysValues>) -> Result<Option<Self>> {
        let mut lengths = layers.iter().flatten().map(|(k, _)| k.dim(2)).collect::<Result<Vec<_>>>()?;
        lengths.dedup();
        let &[positions] = lengths.as_slice() else { return Ok(None) };
        let copy = |(k, v): (Tensor, Tensor)| Ok((k.force_contiguous()?, v.force_contiguous()?));
        let layers = layers.into_iter().map(|layer| layer.map(copy).transpose()).collect::<Result<_>>()?;
        Ok(Some(Self { layers, positions }))
    }
}
