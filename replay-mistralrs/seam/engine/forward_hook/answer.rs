//! A sequence that has its whole answer, as a hook sees it.
use candle_core::Result;

use super::{keys_values::KeysValues, pages, prompt::Request};
use crate::{pipeline::Pipeline, sequence::Sequence};

/// A sequence that has its whole answer.
pub struct Answered<'a> {
    pub(super) pipeline: &'a dyn Pipeline,
    pub(super) sequence: &'a mut Sequence,
}

impl Answered<'_> {
    pub fn request(&self) -> Request {
        Request::of(self.sequence)
    }

    /// Prompt and answer. The last token may have no keys and values.
    pub fn tokens(&self) -> &[u32] {
        self.sequence.get_toks()
    }

    /// What is known of its positions, as a copy; `None` if not all of it is.
    pub fn keys_values(&mut self) -> Result<Option<KeysValues>> {
        match pages::usable(self.pipeline) {
            true => pages::of_sequence(self.pipeline, self.sequence),
            false => KeysValues::of_sequence(self.sequence),
        }
    }
}
