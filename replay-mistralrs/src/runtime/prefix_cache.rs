//! The prefix cache: keys and values of answered prompts, for later prompts that have the same prefix and the same edits in it. The next turn
//! of a chat computes only its new rows.
//!
//! Attention is causal, so keys and values of a row depend on the tokens, pixels and edits up to that row. All of these are compared, so
//! replayed keys and values never reach a prompt without replay or with other settings, and plain ones never reach a replayed prompt.
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mistralrs_core::forward_hook::KeysValues;
use replay_core::substitute::Edits;
use replay_core::{ImageContent, PromptMap};

/// The shortest prefix that is kept or used; copying fewer rows costs more than computing them.
const MIN_ROWS: usize = 16;

/// Which images the visual features of an image depend on. Some processors pad all images of a prompt to the largest, which may change the
/// features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum ImageDependence {
    /// Only the image itself.
    #[default]
    OwnImage,
    /// All images of the prompt.
    AllImages,
}

/// What the keys and values of a prompt depend on besides its tokens.
#[derive(Debug)]
pub(crate) struct PrefixIdentity {
    /// The rows of each image from its first visual row to its last, with its content, in the order of the prompt.
    images: Vec<(Range<usize>, ImageContent)>,
    /// The edits, and the fingerprint of the settings that made them.
    edits: Option<(Arc<Edits>, String)>,
    image_dependence: ImageDependence,
}

impl PrefixIdentity {
    pub(crate) fn new(
        prompt: &PromptMap,
        image_dependence: ImageDependence,
        edits: Option<(Arc<Edits>, String)>,
    ) -> Self {
        // An image without visual rows has a range that lies after every row.
        let no_rows = Range { start: usize::MAX, end: usize::MAX };
        let mut images: Vec<_> = prompt.images().iter().map(|image| (no_rows.clone(), image.content)).collect();
        for row in prompt.rows() {
            if let Some((rows, _)) = row.visual.and_then(|visual| images.get_mut(visual.image)) {
                *rows = rows.start.min(row.position)..row.position + 1;
            }
        }
        Self { images, edits, image_dependence }
    }

    /// The number of first rows that have the same keys and values in both prompts, given that their first `rows` tokens are equal.
    fn common_rows(&self, other: &Self, rows: usize) -> usize {
        let first_row = |image: Option<&(Range<usize>, ImageContent)>| image.map_or(usize::MAX, |(rows, _)| rows.start);
        let count = self.images.len().max(other.images.len());
        let pairs = (0..count).map(|index| (self.images.get(index), other.images.get(index)));
        let differs = |(ours, theirs): &(Option<_>, Option<_>)| {
            ours != theirs || self.image_dependence == ImageDependence::AllImages
        };
        let differing = pairs.filter(differs).filter(|_| self.images != other.images);
        let first_image =
            differing.map(|(ours, theirs)| first_row(ours).min(first_row(theirs))).min().unwrap_or(usize::MAX);
        let first_edit = match (&self.edits, &other.edits) {
            (None, None) => None,
            (Some((only, _)), None) | (None, Some((only, _))) => only.first_row(),
            (Some((ours, by)), Some((theirs, other_by))) if by == other_by => ours.first_difference(theirs),
            (Some((ours, _)), Some((theirs, _))) => ours.first_row().into_iter().chain(theirs.first_row()).min(),
        };
        self.round_down_to_whole_images(rows.min(first_image).min(first_edit.unwrap_or(usize::MAX)))
    }

    /// The largest number of rows, at most `rows`, that splits no image: in some families the rows of an image attend to each other both ways.
    fn round_down_to_whole_images(&self, rows: usize) -> usize {
        let split = self.images.iter().find(|(image, _)| image.start < rows && rows < image.end);
        split.map_or(rows, |(image, _)| image.start)
    }
}

/// A prefix of all sequences of a batch, whose keys and values are in the cache.
pub(crate) struct CachedPrefix {
    /// The keys and values of each sequence.
    pub(crate) keys_values: Vec<Arc<KeysValues>>,
    /// The length of the prefix in rows.
    pub(crate) rows: usize,
}

/// The keys and values of one prompt and its answer.
#[derive(Debug)]
struct Entry {
    tokens: Vec<u32>,
    identity: Arc<PrefixIdentity>,
    keys_values: Arc<KeysValues>,
}

impl Entry {
    fn common_rows(&self, tokens: &[u32], identity: &PrefixIdentity) -> usize {
        let equal = self.tokens.iter().zip(tokens).take_while(|(ours, theirs)| ours == theirs).count();
        identity.common_rows(&self.identity, equal)
    }
}

/// The prefix cache of one pipeline, of bounded size.
#[derive(Debug)]
pub(crate) struct PrefixCache {
    max_bytes: u64,
    pub(crate) image_dependence: ImageDependence,
    /// The entries in the order of their last use, the most recent one last.
    entries: Mutex<Vec<Entry>>,
    disabled: AtomicBool,
}

impl PrefixCache {
    /// Creates a cache of at most `max_bytes` bytes; 0 disables it.
    pub(crate) fn new(max_bytes: u64, image_dependence: ImageDependence) -> Self {
        Self { max_bytes, image_dependence, entries: Mutex::default(), disabled: AtomicBool::new(max_bytes == 0) }
    }

    pub(crate) fn is_enabled(&self) -> bool {
        !self.disabled.load(Ordering::Relaxed)
    }

    /// Removes all entries and keeps the cache off from now on.
    pub(crate) fn disable(&self) {
        self.disabled.store(true, Ordering::Relaxed);
        self.lock().clear();
    }

    /// The bytes of all entries.
    pub(crate) fn bytes(&self) -> u64 {
        self.lock().iter().map(|entry| entry.keys_values.bytes()).sum()
    }

    /// Finds the longest prefix that is cached for every prompt of a batch; the prompts have equal lengths.
    pub(crate) fn find(&self, batch: &[(&[u32], &PrefixIdentity)]) -> Option<CachedPrefix> {
        let mut entries = self.lock();
        let mut keys_values = Vec::with_capacity(batch.len());
        let mut rows = usize::MAX;
        for (tokens, identity) in batch {
            // At least two rows remain to compute, since the engine would take a single row for a decode step.
            let max_rows = tokens.len().saturating_sub(2);
            let common = entries.iter().map(|entry| entry.common_rows(&tokens[..max_rows], identity)).enumerate();
            let (best, common) = common.max_by_key(|(_, common)| *common)?;
            let used = entries.remove(best);
            keys_values.push(used.keys_values.clone());
            entries.push(used);
            rows = rows.min(common);
        }
        // The prefix must split no image of any prompt.
        while let Some(fewer) =
            batch.iter().map(|(_, identity)| identity.round_down_to_whole_images(rows)).find(|fewer| *fewer < rows)
        {
            rows = fewer;
        }
        (rows >= MIN_ROWS).then_some(CachedPrefix { keys_values, rows })
    }

    /// Adds the keys and values of a prompt and its answer, which `copy` returns, and removes entries that are prefixes of it. The least recently
    /// used entries are evicted beyond `max_bytes`.
    pub(crate) fn insert(
        &self,
        tokens: &[u32],
        identity: &Arc<PrefixIdentity>,
        copy: impl FnOnce() -> candle_core::Result<Option<KeysValues>>,
    ) -> candle_core::Result<()> {
        // The last token has no keys and values yet.
        let rows = tokens.len().saturating_sub(1);
        let covers_prompt = |entry: &Entry| entry.common_rows(&tokens[..rows], identity) == rows;
        if !self.is_enabled() || rows < MIN_ROWS || self.lock().iter().any(covers_prompt) {
            return Ok(());
        }
        let Some(keys_values) = copy()? else { return Ok(()) };
        if keys_values.bytes() > self.max_bytes {
            return Ok(());
        }
        let tokens = tokens[..keys_values.positions().min(tokens.len())].to_vec();
        let mut entries = self.lock();
        entries.retain(|old| old.common_rows(&tokens, identity) < old.tokens.len());
        entries.push(Entry { tokens, identity: identity.clone(), keys_values: Arc::new(keys_values) });
        let mut bytes: u64 = entries.iter().map(|entry| entry.keys_values.bytes()).sum();
        while bytes > self.max_bytes {
            bytes -= entries.remove(0).keys_values.bytes();
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Tensor};
    use replay_core::{Grid, Image, RowSet};

    use super::*;

    fn content(pixel: u8) -> ImageContent {
        ImageContent::of(1, 1, "l8", &[pixel])
    }

    /// The identity of a prompt of thirty rows, of which each image has four; `images` are pairs of first row and pixel.
    fn identity(
        dependence: ImageDependence,
        images: &[(usize, u8)],
        edits: Option<(&[usize], &str)>,
    ) -> PrefixIdentity {
        let grid = Grid { frames: 1, rows: 2, columns: 2 };
        let placed = images.iter().map(|&(at, pixel)| (Image::with_grid(grid, content(pixel)), (at..at + 4).collect()));
        let map = PromptMap::at(0, &[7; 30], placed.collect()).unwrap();
        let delta = |rows: &[usize]| {
            let rows = RowSet::new(rows.to_vec()).unwrap();
            let zeros = Tensor::zeros((rows.len(), 2), DType::F32, &Device::Cpu).unwrap();
            Edits::delta(0, rows, zeros).unwrap()
        };
        PrefixIdentity::new(&map, dependence, edits.map(|(rows, by)| (Arc::new(delta(rows)), by.to_owned())))
    }

    #[test]
    fn rows_are_common_up_to_the_first_image_or_edit_that_differs() {
        let prompt = |images: &[_], edits: Option<(&[usize], &str)>| identity(ImageDependence::OwnImage, images, edits);
        let plain = prompt(&[(3, 1), (20, 2)], None);
        let common_with = |images: &[(usize, u8)], edits| plain.common_rows(&prompt(images, edits), 29);
        assert_eq!(common_with(&[(3, 1), (20, 2)], None), 29);
        assert_eq!(common_with(&[(3, 1), (20, 3)], None), 20);
        assert_eq!(common_with(&[(3, 9), (20, 2)], None), 3);
        assert_eq!(common_with(&[(3, 1)], None), 20);
        assert_eq!(common_with(&[(4, 1), (20, 2)], None), 3);
        assert_eq!(common_with(&[(3, 1), (20, 2)], Some((&[4, 5], "a"))), 3, "an image is not split");
        let replayed = |edits| prompt(&[(3, 1), (20, 2)], Some(edits));
        let pair = |a, b| replayed(a).common_rows(&replayed(b), 29);
        assert_eq!(pair((&[4, 21], "a"), (&[4, 21], "a")), 29);
        assert_eq!(pair((&[4, 21], "a"), (&[4, 22], "a")), 20);
        assert_eq!(pair((&[21], "a"), (&[21], "b")), 20);
        assert_eq!(plain.common_rows(&plain, 22), 20);
        assert_eq!(plain.common_rows(&plain, 24), 24);
    }

    #[test]
    fn with_dependent_images_a_new_image_changes_all_images() {
        let prompt = |images: &[_]| identity(ImageDependence::AllImages, images, None);
        let both = prompt(&[(3, 1), (20, 2)]);
        assert_eq!(both.common_rows(&both, 29), 29);
        assert_eq!(both.common_rows(&prompt(&[(3, 1)]), 29), 3);
        assert_eq!(both.common_rows(&prompt(&[(3, 1), (20, 3)]), 29), 3);
    }
}
