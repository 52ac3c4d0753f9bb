//! Keys and values of prompts that were answered, for prompts that begin the same and are replayed the same there: the next turn of a
//! chat pays for its own rows alone.
//!
//! Attention is causal: keys and values of a row depend on the tokens and pixels up to it, and on what was done to rows up to it. All of
//! that is compared, so nothing replayed reaches a prompt without replay or under other settings, nor the other way round.
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mistralrs_core::forward_hook::KeysValues;
use replay_core::substitute::Edits;
use replay_core::{ImageContent, PromptMap};

/// Rows that are worth the copying.
const LEAST: usize = 16;

/// What an image's rows depend on. An engine may pad all images of a prompt to the largest, and a tower may see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Images {
    /// On the image, and what comes before it.
    #[default]
    EachForItself,
    /// On all images of the prompt.
    Together,
}

/// What keys and values of a prompt depend on besides its tokens.
#[derive(Debug)]
pub(crate) struct Identity {
    /// From the first visual row of each image to its last, in order.
    images: Vec<(Range<usize>, ImageContent)>,
    /// With the fingerprint of the settings that made them.
    edits: Option<(Arc<Edits>, String)>,
    depend: Images,
}

impl Identity {
    pub(crate) fn new(prompt: &PromptMap, depend: Images, edits: Option<(Arc<Edits>, String)>) -> Self {
        // An image without rows of its own is nowhere.
        let nowhere = Range { start: usize::MAX, end: usize::MAX };
        let mut images: Vec<_> = prompt.images().iter().map(|image| (nowhere.clone(), image.content)).collect();
        for row in prompt.rows() {
            if let Some((rows, _)) = row.visual.and_then(|visual| images.get_mut(visual.image)) {
                *rows = rows.start.min(row.position)..row.position + 1;
            }
        }
        Self { images, edits, depend }
    }

    /// How many of the first `rows` rows have the same keys and values in both prompts, whose tokens are equal up to there.
    fn shared(&self, other: &Self, rows: usize) -> usize {
        let first = |image: Option<&(Range<usize>, ImageContent)>| image.map_or(usize::MAX, |(rows, _)| rows.start);
        let count = self.images.len().max(other.images.len());
        let pairs = (0..count).map(|index| (self.images.get(index), other.images.get(index)));
        let different = |(ours, theirs): &(Option<_>, Option<_>)| ours != theirs || self.depend == Images::Together;
        let different = pairs.filter(different).filter(|_| self.images != other.images);
        let images = different.map(|(ours, theirs)| first(ours).min(first(theirs))).min().unwrap_or(usize::MAX);
        let edits = match (&self.edits, &other.edits) {
            (None, None) => None,
            (Some((only, _)), None) | (None, Some((only, _))) => only.first_row(),
            (Some((ours, by)), Some((theirs, other_by))) if by == other_by => ours.first_difference(theirs),
            (Some((ours, _)), Some((theirs, _))) => ours.first_row().into_iter().chain(theirs.first_row()).min(),
        };
        self.outside(rows.min(images).min(edits.unwrap_or(usize::MAX)))
    }

    /// At most so many rows, and no image in two: in some families its rows attend to each other both ways.
    fn outside(&self, rows: usize) -> usize {
        let cut = self.images.iter().find(|(image, _)| image.start < rows && rows < image.end);
        cut.map_or(rows, |(image, _)| image.start)
    }
}

/// Where the forward of a batch begins.
pub(crate) struct Known {
    /// Of each sequence.
    pub(crate) keys_values: Vec<Arc<KeysValues>>,
    /// Rows that are left out.
    pub(crate) rows: usize,
}

#[derive(Debug)]
struct Kept {
    tokens: Vec<u32>,
    identity: Arc<Identity>,
    keys_values: Arc<KeysValues>,
}

impl Kept {
    fn shared(&self, tokens: &[u32], identity: &Identity) -> usize {
        let equal = self.tokens.iter().zip(tokens).take_while(|(kept, token)| kept == token).count();
        identity.shared(&self.identity, equal)
    }
}

/// A cache of bounded size, of one pipeline.
#[derive(Debug)]
pub(crate) struct PrefixCache {
    most: u64,
    pub(crate) images: Images,
    /// The one that was used last is the last.
    kept: Mutex<Vec<Kept>>,
    stopped: AtomicBool,
}

impl PrefixCache {
    /// At most so many bytes; 0 keeps nothing.
    pub(crate) fn new(most: u64, images: Images) -> Self {
        Self { most, images, kept: Mutex::default(), stopped: AtomicBool::new(most == 0) }
    }

    pub(crate) fn is_on(&self) -> bool {
        !self.stopped.load(Ordering::Relaxed)
    }

    /// Forgets everything, for good.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.lock().clear();
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> u64 {
        self.lock().iter().map(|kept| kept.keys_values.bytes()).sum()
    }

    /// What is known of all of these prompts, which are equally long.
    pub(crate) fn find(&self, batch: &[(&[u32], &Identity)]) -> Option<Known> {
        let mut kept = self.lock();
        let mut keys_values = Vec::with_capacity(batch.len());
        let mut rows = usize::MAX;
        for (tokens, identity) in batch {
            // Two rows are left: one alone would pass for a decode step.
            let most = tokens.len().saturating_sub(2);
            let shared = kept.iter().map(|kept| kept.shared(&tokens[..most], identity)).enumerate();
            let (best, shared) = shared.max_by_key(|(_, shared)| *shared)?;
            let used = kept.remove(best);
            keys_values.push(used.keys_values.clone());
            kept.push(used);
            rows = rows.min(shared);
        }
        // No image of any of them in two.
        while let Some(fewer) = batch.iter().map(|(_, identity)| identity.outside(rows)).find(|fewer| *fewer < rows) {
            rows = fewer;
        }
        (rows >= LEAST).then_some(Known { keys_values, rows })
    }

    /// Keeps what is known of a prompt and its answer, in place of what begins it.
    pub(crate) fn keep(
        &self,
        tokens: &[u32],
        identity: &Arc<Identity>,
        copy: impl FnOnce() -> candle_core::Result<Option<KeysValues>>,
    ) -> candle_core::Result<()> {
        // The last token has no keys and values yet.
        let rows = tokens.len().saturating_sub(1);
        let all = |kept: &Kept| kept.shared(&tokens[..rows], identity) == rows;
        if !self.is_on() || rows < LEAST || self.lock().iter().any(all) {
            return Ok(());
        }
        let Some(keys_values) = copy()? else { return Ok(()) };
        if keys_values.bytes() > self.most {
            return Ok(());
        }
        let tokens = tokens[..keys_values.positions().min(tokens.len())].to_vec();
        let mut kept = self.lock();
        kept.retain(|old| old.shared(&tokens, identity) < old.tokens.len());
        kept.push(Kept { tokens, identity: identity.clone(), keys_values: Arc::new(keys_values) });
        let mut bytes: u64 = kept.iter().map(|kept| kept.keys_values.bytes()).sum();
        while bytes > self.most {
            bytes -= kept.remove(0).keys_values.bytes();
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Tensor};
    use replay_core::{Grid, Image, RowSet};

    use super::*;

    fn content(of: u8) -> ImageContent {
        ImageContent::of(1, 1, "l8", &[of])
    }

    /// Thirty rows; each image stands for four of them.
    fn prompt(depend: Images, images: &[(usize, u8)], edits: Option<(&[usize], &str)>) -> Identity {
        let grid = Grid { frames: 1, rows: 2, columns: 2 };
        let placed = images.iter().map(|&(at, of)| (Image::with_grid(grid, content(of)), (at..at + 4).collect()));
        let map = PromptMap::at(0, &[7; 30], placed.collect()).unwrap();
        let delta = |rows: &[usize]| {
            let rows = RowSet::new(rows.to_vec()).unwrap();
            let zeros = Tensor::zeros((rows.len(), 2), DType::F32, &Device::Cpu).unwrap();
            Edits::delta(0, rows, zeros).unwrap()
        };
        Identity::new(&map, depend, edits.map(|(rows, by)| (Arc::new(delta(rows)), by.to_owned())))
    }

    #[test]
    fn rows_are_shared_up_to_the_first_image_or_edit_that_differs() {
        let prompt = |images: &[_], edits: Option<(&[usize], &str)>| prompt(Images::EachForItself, images, edits);
        let plain = prompt(&[(3, 1), (20, 2)], None);
        let with = |images: &[(usize, u8)], edits| plain.shared(&prompt(images, edits), 29);
        assert_eq!(with(&[(3, 1), (20, 2)], None), 29);
        assert_eq!(with(&[(3, 1), (20, 3)], None), 20);
        assert_eq!(with(&[(3, 9), (20, 2)], None), 3);
        assert_eq!(with(&[(3, 1)], None), 20);
        assert_eq!(with(&[(4, 1), (20, 2)], None), 3);
        assert_eq!(with(&[(3, 1), (20, 2)], Some((&[4, 5], "a"))), 3, "an image is not cut in two");
        let replayed = |edits| prompt(&[(3, 1), (20, 2)], Some(edits));
        let pair = |a, b| replayed(a).shared(&replayed(b), 29);
        assert_eq!(pair((&[4, 21], "a"), (&[4, 21], "a")), 29);
        assert_eq!(pair((&[4, 21], "a"), (&[4, 22], "a")), 20);
        assert_eq!(pair((&[21], "a"), (&[21], "b")), 20);
        assert_eq!(plain.shared(&plain, 22), 20);
        assert_eq!(plain.shared(&plain, 24), 24);
    }

    #[test]
    fn where_images_depend_on_each_other_a_new_one_changes_all() {
        let prompt = |images: &[_]| prompt(Images::Together, images, None);
        let both = prompt(&[(3, 1), (20, 2)]);
        assert_eq!(both.shared(&both, 29), 29);
        assert_eq!(both.shared(&prompt(&[(3, 1)]), 29), 3);
        assert_eq!(both.shared(&prompt(&[(3, 1), (20, 3)]), 29), 3);
    }
}
