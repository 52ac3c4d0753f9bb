//! Facts about a loaded pair.
use crate::PairInfo;

/// Facts about a loaded pair.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The two models; `None` if replay is disabled.
    pub pair: Option<PairInfo>,
    /// Results of the adapter's checks at the start, in the order in which they are shown.
    pub notes: Vec<Note>,
    /// Whether the model supports videos.
    pub sees_videos: bool,
}

/// The result of one of the adapter's checks, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The subject of the check.
    pub about: &'static str,
    /// The result of the check.
    pub text: String,
}

impl Note {
    /// A note on a subject.
    pub fn new(about: &'static str, text: impl Into<String>) -> Self {
        Self { about, text: text.into() }
    }
}

/// Memory that a session holds at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Bytes of edits and deltas of earlier prompts ([`ReplayCache`](crate::ReplayCache)).
    pub cache_bytes: u64,
    /// Bytes of keys and values of earlier prompts.
    pub prefix_bytes: u64,
    /// Bytes of the base model's weights.
    pub base_bytes: u64,
}
