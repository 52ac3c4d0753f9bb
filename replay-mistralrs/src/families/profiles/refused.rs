//! Architectures that the engine can load and replay refuses, each with the reason.

/// Pairs of architecture and reason.
pub(super) const REFUSED: [(&str, &str); 3] = [
    ("Gemma3ForCausalLM", "it takes no images"),
    ("VoxtralForConditionalGeneration", "it takes audio and no images, so it has no visual tokens to replay"),
    ("VoxtralRealtimeForConditionalGeneration", "it takes audio and no images, so it has no visual tokens to replay"),
];
