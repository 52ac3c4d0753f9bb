//! Architectures that the engine loads and replay refuses, each with the reason.

/// Architecture and reason.
pub(super) const REFUSED: [(&str, &str); 3] = [
    ("Gemma3ForCausalLM", "it takes no images"),
    ("VoxtralForConditionalGeneration", "it hears and does not see: there are no visual tokens to replay"),
    ("VoxtralRealtimeForConditionalGeneration", "it hears and does not see: there are no visual tokens to replay"),
];
