//! Keys and values of the first positions of a sequence, copied out of a cache.
use candle_core::{Result, Tensor};

use crate::{
    kv_cache::{EitherCache, KvCache},
    sequence::Sequence,
};

/// Keys and values of one layer, `None` if it keeps none of its own.
pub(super) type LayerKeysValues = Option<(Tensor, Tensor)>;

/// Keys and values of the first positions of one sequence: `[1, heads, positions, head_dim]` of every layer that keeps its own.
#[derive(Debug)]
pub struct KeysValues {
    pub(super) layers: Vec<LayerKeysValues>,
    positions: usize,
}

impl KeysValues {
    pub fn positions(&self) -> usize {
        self.positions
    }

    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        let size = |t: &Tensor| (t.elem_count() * t.dtype().size_in_bytes()) as u64;
        self.layers.iter().flatten().map(|(k, v)| size(k) + size(v)).sum()
    }

    /// A copy of what a sequence has by now (its cache is written to in place). `None` if a layer has dropped its first positions.
    pub(super) fn of_sequence(sequence: &mut Sequence) -> Result<Option<Self>> {
        if sequence.normal_cache().iter().any(Option::is_some) {
            Self::of_layers(sequence.normal_cache())
        } else {
            Self::copied(sequence.cache().to_vec())
        }
    }

    /// The same, of what the model's cache holds.
    pub(super) fn of_cache(cache: &EitherCache) -> Result<Option<Self>> {
        match cache {
            EitherCache::Normal(_) => {
                let layers: Vec<_> = cache.normal().0.iter().cloned().map(Some).collect();
                Self::of_layers(&layers)
            }
            EitherCache::Full(layers) => Self::copied(layers.lock().to_vec()),
            EitherCache::Hybrid(_) => Ok(None),
        }
    }

    fn of_layers(layers: &[Option<KvCache>]) -> Result<Option<Self>> {
        let mut held = Vec::with_capacity(layers.len());
        for layer in layers {
            let Some(own) = layer.as_ref().filter(|layer| !layer.is_shared()) else {
                held.push(None);
                continue;
            };
            if matches!(own, KvCache::Rotating { k, .. } if k.current_seq_len() > k.max_seq_len()) {
                return Ok(None);
            }
            let (Some(k), Some(v)) = (own.k()?, own.v()?) else { return Ok(None) };
            held.push(Some((k, v)));
        }
        Self::copied(held)
    }

    pub(super) fn copied(layers: Vec<LayerKeysValues>) -> Result<Option<Self>> {
        let mut lengths = layers.iter().flatten().map(|(k, _)| k.dim(2)).collect::<Result<Vec<_>>>()?;
        lengths.dedup();
        let &[positions] = lengths.as_slice() else { return Ok(None) };
        let copy = |(k, v): (Tensor, Tensor)| Ok((k.force_contiguous()?, v.force_contiguous()?));
        let layers = layers.into_iter().map(|layer| layer.map(copy).transpose()).collect::<Result<_>>()?;
        Ok(Some(Self { layers, positions }))
    }
}
