//! What a hook sees of the sequences that are about to be prefilled.
use std::sync::Weak;

use candle_core::Tensor;
use tokio::sync::Mutex;

use crate::sequence::{Sequence, SequenceGroup};

/// A piece of media in the prompt, as far as the engine knows (may be empty or partial for some families).
#[derive(Debug, Clone)]
pub struct MediaSpan {
    /// The engine's own name of the content. It ignores an image's width and height: do not key anything by it.
    pub identifier: String,
    pub offset: usize,
    pub length: usize,
}

/// The request that a sequence answers. The `n` choices of one request share their prompt, and this.
#[derive(Debug, Clone)]
pub struct Request(Weak<Mutex<SequenceGroup>>);

impl Request {
    pub(super) fn of(sequence: &Sequence) -> Self {
        Self(sequence.group_handle())
    }

    pub fn is_over(&self) -> bool {
        self.0.strong_count() == 0
    }
}

impl PartialEq for Request {
    fn eq(&self, other: &Self) -> bool {
        self.0.ptr_eq(&other.0)
    }
}

/// One sequence of the batch.
#[derive(Debug, Clone)]
pub struct PromptRow {
    pub sequence: usize,
    pub request: Request,
    /// All its tokens.
    pub tokens: Vec<u32>,
    /// `tokens[prompt_len..]` were generated: a sequence is prefilled again, with what it has generated, after it was set aside.
    pub prompt_len: usize,
    /// The real forward sees the positions `tokens[cached..]`.
    pub cached: usize,
    pub images: usize,
    pub media: Vec<MediaSpan>,
    /// `[images, 3]`: frames, rows and columns in patches.
    pub image_grid_thw: Option<Vec<Vec<u32>>>,
    pub video_grid_thw: Option<Vec<Vec<u32>>>,
}

pub(super) fn row(s: &Sequence) -> PromptRow {
    let grid = |grid: &Option<Tensor>| grid.as_ref()?.to_vec2::<u32>().ok();
    PromptRow {
        sequence: *s.id(),
        request: Request::of(s),
        tokens: s.get_toks().to_vec(),
        prompt_len: s.prompt_tokens(),
        cached: s.prefix_cache_len(),
        images: s.images().map_or(0, <[_]>::len),
        media: s
            .mm_features()
            .iter()
            .map(|f| MediaSpan { identifier: f.identifier.clone(), offset: f.offset, length: f.length })
            .collect(),
        image_grid_thw: grid(&s.multimodal.rope_img_grid_thw),
        video_grid_thw: grid(&s.multimodal.rope_vid_grid_thw),
    }
}
