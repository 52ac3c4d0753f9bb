//! A cache of edits and learned deltas, for later prompts with the same beginning: a second question about an image, the next turn of a
//! chat, another sample.
//!
//! Attention is causal, so the edits of visual rows do not depend on tokens after the last of them. A key is a blake3 hash of the
//! configuration, both models' weights, the tokens up to that row and the pixels, with dimensions and colour type.
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use blake3::{Hash, Hasher};
use quick_cache::sync::{Cache as Store, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};

use crate::config::{Positions, Replay};
use crate::learned::LearnedDelta;
use crate::substitute::Edits;
use crate::{PairInfo, PromptMap, Report};

/// Estimated bytes of an entry besides its tensors: report, key, bookkeeping.
const OVERHEAD: u64 = 4096;

/// Prompts whose drift is kept: a hash and a number each.
const MAX_DRIFTS: usize = 4096;

/// The cache entry of one prompt.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The report of the prompt for which the entry was computed.
    pub(crate) report: Report,
    /// The edits of the prompt; `None` if no row is edited.
    pub(crate) edits: Option<Arc<Edits>>,
    /// The delta of strategy `learned`.
    pub(crate) learned: Option<Arc<LearnedDelta>>,
}

impl Entry {
    /// Bytes of memory held. A learned delta shares its memory with its edit, so it is counted once.
    fn bytes(&self) -> u64 {
        let delta =
            |learned: &LearnedDelta| (learned.delta.elem_count() * learned.delta.dtype().size_in_bytes()) as u64;
        let tensors = match (&self.edits, &self.learned) {
            (Some(edits), _) => edits.bytes(),
            (None, Some(learned)) => delta(learned),
            (None, None) => 0,
        };
        OVERHEAD + tensors
    }
}

#[derive(Clone)]
struct Bytes;

impl Weighter<Hash, Arc<Entry>> for Bytes {
    fn weight(&self, _: &Hash, entry: &Arc<Entry>) -> u64 {
        entry.bytes()
    }
}

/// A cache of bounded size, shared by all requests of a pipeline.
pub struct ReplayCache {
    store: Option<Store<Hash, Arc<Entry>, Bytes>>,
    /// What the gate has measured.
    drifts: Store<Hash, f64>,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl std::fmt::Debug for ReplayCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReplayCache").field("bytes", &self.bytes()).field("hits", &self.hits()).finish_non_exhaustive()
    }
}

impl ReplayCache {
    /// A cache that holds at most `max_bytes`; 0 holds nothing.
    pub fn new(max_bytes: u64) -> Self {
        let store = (max_bytes > 0).then(|| {
            // One shard: several would each refuse entries larger than their share of the capacity.
            let options = OptionsBuilder::new()
                .estimated_items_capacity(256)
                .weight_capacity(max_bytes)
                .shards(1)
                .hot_allocation(0.9)
                .build();
            options
                .ok()
                .map(|options| Store::with_options(options, Bytes, Default::default(), DefaultLifecycle::default()))
        });
        Self {
            store: store.flatten(),
            drifts: Store::new(MAX_DRIFTS),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    pub(crate) fn get(&self, key: &Hash) -> Option<Arc<Entry>> {
        let entry = self.store.as_ref()?.get(key);
        let counter = if entry.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        entry
    }

    pub(crate) fn insert(&self, key: Hash, entry: Arc<Entry>) {
        if let Some(store) = &self.store {
            store.insert(key, entry);
        }
    }

    /// The drift of a prompt, if it is known.
    pub(crate) fn drift(&self, key: &Hash) -> Option<f64> {
        self.drifts.get(key)
    }

    pub(crate) fn insert_drift(&self, key: Hash, drift: f64) {
        self.drifts.insert(key, drift);
    }

    /// Bytes of memory held.
    pub fn bytes(&self) -> u64 {
        self.store.as_ref().map_or(0, Store::weight)
    }

    /// How many lookups found an entry.
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// How many lookups found no entry.
    pub fn misses(&self) -> u64 {
        self.misses.load(Ordering::Relaxed)
    }
}

/// The cache key of a prompt: a hash of everything that its edits depend on.
pub(crate) fn key(replay: &Replay, pair: &PairInfo, prompt: &PromptMap) -> Hash {
    let mut parts = Parts::of_pair(pair);
    parts.add(replay.fingerprint().as_bytes());
    // This setting changes the report, not the edits.
    parts.add(&[u8::from(replay.measure_kl)]);
    let end = match replay.positions {
        Positions::All => prompt.len(),
        Positions::Visual => prompt.visual_rows().last().map_or(0, |last| last + 1),
    };
    parts.prompt(prompt, end)
}

/// The key of what the gate measures at a residual: the whole prompt counts.
pub(crate) fn gate_key(residual: usize, pair: &PairInfo, prompt: &PromptMap) -> Hash {
    let mut parts = Parts::of_pair(pair);
    parts.add(&(residual as u64).to_le_bytes());
    parts.prompt(prompt, prompt.len())
}

/// A hash of several parts.
struct Parts(Hasher);

impl Parts {
    fn of_pair(pair: &PairInfo) -> Self {
        let mut parts = Self(Hasher::new());
        parts.add(pair.base.fingerprint.as_bytes());
        parts.add(pair.rlvr.fingerprint.as_bytes());
        parts
    }

    /// The length is hashed too, so that different parts cannot have the same concatenation.
    fn add(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
    }

    /// Adds the first `end` tokens of a prompt, and its images.
    fn prompt(mut self, prompt: &PromptMap, end: usize) -> Hash {
        let tokens: Vec<u8> = prompt.rows()[..end].iter().flat_map(|row| row.token.to_le_bytes()).collect();
        self.add(&tokens);
        for image in prompt.images() {
            let sizes = image.grids.iter().flat_map(|grid| [grid.frames, grid.rows, grid.columns]);
            self.add(&sizes.flat_map(|size| (size as u64).to_le_bytes()).collect::<Vec<u8>>());
            self.add(image.content.as_bytes());
        }
        self.0.finalize()
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Tensor};

    use super::*;
    use crate::config::{Layers, Rule, Strategy};
    use crate::{Grid, Image, ImageContent, ModelInfo, Replayer, RowSet};

    fn replay() -> Replay {
        Replay::new(Strategy::Learned, Layers::First(1), Rule::Top(1))
    }

    fn info(weights: &str) -> ModelInfo {
        let (id, architecture, dtype) = (String::new(), String::new(), String::new());
        let fingerprint = weights.into();
        ModelInfo {
            id,
            architecture,
            decoder_layers: 1,
            loaded_layers: 1,
            hidden: 1,
            vocabulary: 1,
            dtype,
            fingerprint,
        }
    }

    fn pair(rlvr: &str) -> PairInfo {
        PairInfo { base: info("base"), rlvr: info(rlvr) }
    }

    /// Two placeholder rows (token 9) after `front`, then `question`.
    fn prompt(front: u32, question: u32, content: ImageContent) -> PromptMap {
        let image = Image::with_grid(Grid { frames: 1, rows: 1, columns: 2 }, content);
        PromptMap::new(0, &[front, 9, 9, question], |token| token == 9, vec![image]).unwrap()
    }

    fn pixels(width: u32, height: u32, colour: &str, bytes: &[u8]) -> ImageContent {
        ImageContent::of(width, height, colour, bytes)
    }

    #[test]
    fn only_what_comes_after_the_image_may_differ() {
        let content = pixels(2, 1, "rgb8", &[1, 2, 3, 4, 5, 6]);
        let first = key(&replay(), &pair("a"), &prompt(1, 2, content));
        assert_eq!(first, key(&replay(), &pair("a"), &prompt(1, 7, content)));
        let others = [
            key(&replay(), &pair("a"), &prompt(3, 2, content)),
            key(&replay(), &pair("b"), &prompt(1, 2, content)),
            key(&replay(), &pair("a"), &prompt(1, 2, pixels(1, 2, "rgb8", &[1, 2, 3, 4, 5, 6]))),
            key(&replay(), &pair("a"), &prompt(1, 2, pixels(2, 1, "bgr8", &[1, 2, 3, 4, 5, 6]))),
            key(&replay(), &pair("a"), &prompt(1, 2, pixels(2, 1, "rgb8", &[1, 2, 3, 4, 5, 7]))),
            key(&Replay { layers: Layers::First(2), ..replay() }, &pair("a"), &prompt(1, 2, content)),
        ];
        assert!(others.iter().all(|other| *other != first));
        // What replay does to text rows depends on all of them.
        let all = Replay { positions: Positions::All, strategy: Strategy::Substitute, ..replay() };
        assert_ne!(key(&all, &pair("a"), &prompt(1, 2, content)), key(&all, &pair("a"), &prompt(1, 7, content)));
    }

    fn entry(values: usize) -> Arc<Entry> {
        let report = Replayer::new(&replay(), 1).unwrap().passthrough("");
        let delta = Tensor::zeros((1, values), DType::F32, &Device::Cpu).unwrap();
        Arc::new(Entry {
            report,
            edits: Some(Arc::new(Edits::delta(0, RowSet::all(1), delta).unwrap())),
            learned: None,
        })
    }

    #[test]
    fn bytes_are_bounded_and_the_oldest_go() {
        let cache = ReplayCache::new(100_000);
        for index in 0..100u8 {
            cache.insert(blake3::hash(&[index]), entry(4096));
            assert!(cache.bytes() <= 100_000, "{}", cache.bytes());
        }
        assert!(cache.bytes() >= 50_000, "{}", cache.bytes());
        assert!(cache.get(&blake3::hash(&[0])).is_none());
        assert!((0..100u8).any(|index| cache.get(&blake3::hash(&[index])).is_some()));
        assert!(cache.hits() > 0 && cache.misses() > 0);
        cache.insert(blake3::hash(b"too large"), entry(100_000));
        assert!(cache.bytes() <= 100_000);
    }

    #[test]
    fn a_delta_without_edits_counts_too() {
        let delta = Tensor::zeros((1, 4096), DType::F32, &Device::Cpu).unwrap();
        let learned = Arc::new(LearnedDelta { delta, losses: vec![], selected: vec![] });
        let report = Replayer::new(&replay(), 1).unwrap().passthrough("");
        assert_eq!(Entry { report, edits: None, learned: Some(learned) }.bytes(), OVERHEAD + 4 * 4096);
    }

    #[test]
    fn no_bytes_is_no_cache() {
        let cache = ReplayCache::new(0);
        cache.insert(blake3::hash(b"x"), entry(1));
        assert!(cache.get(&blake3::hash(b"x")).is_none());
        assert_eq!(cache.bytes(), 0);
    }
}
