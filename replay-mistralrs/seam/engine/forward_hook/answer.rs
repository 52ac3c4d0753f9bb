//! A sequence whose answer is complete, as the hook sees it.
use candle_core::Result;

use super::{keys_values::KeysValues, pages, prompt::Request};
use crate::{pipeline::Pipeline, sequence::Sequence};

/// A sequence whose answer is complete.
pub struct Answered<'a> {
    pub(super) pipeline: &'a dyn Pipeline,
    pub(super) sequence: &'a mut Sequence,
}

impl Answered<'_> {
    pub fn request(&self) -> Request {
        Request::of(self.sequence)
    }

    /// The tokens of prompt and answer. The last one may have no keys and values.
    pub fn tokens(&self) -> &[u32] {
        self.sequence.get_toks()
    }

    /// Copies the keys and values of the sequence out of the cache; `None` if the cache has dropped some of them.
    pub fn keys_values(&mut self) -> Result<Option<KeysValues>> {
        match pages::usable(self.pipeline) {
            true => pages::read_sequence(self.pipeline, self.sequence),
            false => KeysValues::from_sequence(self.sequence),
        }
    }
}
