//! Descriptions of the sequences that are about to be prefilled, for the hook.
use std::sync::Weak;

use candle_core::Tensor;
use tokio::sync::Mutex;

use crate::sequence::{Sequence, SequenceGroup};

/// The tokens of one image, audio or video in the prompt. Some families record them in part or not at all.
#[derive(Debug, Clone)]
pub struct MediaSpan {
    /// The engine's identifier of the content. It ignores an image's width and height, so do not use it as a cache key.
    pub identifier: String,
    pub offset: usize,
    pub length: usize,
}

/// Identifies the request that a sequence answers. The `n` choices of one request compare equal.
#[derive(Debug, Clone)]
pub struct Request(Weak<Mutex<SequenceGroup>>);

impl Request {
    pub(super) fn of(sequence: &Sequence) -> Self {
        Self(sequence.group_handle())
    }

    /// Whether the engine has dropped all sequences of the request.
    pub fn is_over(&self) -> bool {
        self.0.strong_count() == 0
    }
}

impl PartialEq for Request {
    fn eq(&self, other: &Self) -> bool {
        self.0.ptr_eq(&other.0)
    }
}

/// Describes one sequence of the batch.
#[derive(Debug, Clone)]
pub struct PromptRow {
    pub sequence: usize,
    pub request: Request,
    /// All tokens of the sequence.
    pub tokens: Vec<u32>,
    /// `tokens[prompt_len..]` were generated: the engine prefills a preempted sequence again, together with its generated tokens.
    pub prompt_len: usize,
    /// The real forward computes `tokens[cached..]`; earlier positions come from the prefix cache.
    pub cached: usize,
    pub images: usize,
    pub media: Vec<MediaSpan>,
    /// `[images, 3]`: frames, rows and columns in patches.
    pub image_grid_thw: Option<Vec<Vec<u32>>>,
    pub video_grid_thw: Option<Vec<Vec<u32>>>,
}

/// Describes `s` for the hook.
pub(super) fn describe(s: &Sequence) -> PromptRow {
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
