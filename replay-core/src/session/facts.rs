//! What is known of a loaded pair.
use crate::PairInfo;

/// What is known of a loaded pair.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The two models; `None` if replay is disabled.
    pub pair: Option<PairInfo>,
    /// What the adapter found out at the start, for people, in the order in which they are shown.
    pub notes: Vec<Note>,
    /// Whether the model is known to see videos.
    pub sees_videos: bool,
}

/// One thing that an adapter has to say of a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What it is about.
    pub about: &'static str,
    /// What was found.
    pub text: String,
}

impl Note {
    /// A note.
    pub fn new(about: &'static str, text: impl Into<String>) -> Self {
        Self { about, text: text.into() }
    }
}

/// What a session holds and has counted, at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Bytes of what was decided for earlier prompts ([`ReplayCache`](crate::ReplayCache)).
    pub cache_bytes: u64,
    /// Bytes of keys and values of earlier prompts.
    pub prefix_bytes: u64,
    /// Bytes of the base model's weights.
    pub base_bytes: u64,
}
