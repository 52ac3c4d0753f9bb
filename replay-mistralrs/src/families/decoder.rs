//! The profile of a family's differentiable decoder: the features in which its decoder layers differ from those of other families.
use replay_core::PromptMap;
use replay_core::decoder::Sections;
use serde_json::Value;

/// The differentiable decoder of a family. Each layer has RMSNorm, attention with rotary positions, RMSNorm and a gated SiLU MLP, and the
/// engine lists its linear layers in the order query, key, value, output, gate, up, down.
#[derive(Debug)]
pub struct DecoderProfile {
    /// The name of the decoder layers, without index, among the engine's tensors that are never quantised.
    pub layers: &'static str,
    /// Whether queries and keys are normalised per head.
    pub head_norms: bool,
    /// Assigns the rotary frequencies to frame, row and column (M-RoPE); `None` for one position per row.
    pub sections: Option<fn(Vec<usize>) -> Sections>,
    /// Whether the engine applies the rotary scaling that the configuration names (`llama3` or `linear`).
    pub scales: bool,
    /// Returns the rotary position of each row on the axes frame, row and column; without sections, all three are the position.
    pub positions: fn(&PromptMap) -> Vec<[u32; 3]>,
    /// Returns how many of the first layers have visual features added to their output.
    pub deepstack: fn(&Value) -> usize,
}

/// The profile of a decoder like Llama's, with one rotary position per row.
pub(super) const fn llama_like(layers: &'static str) -> DecoderProfile {
    DecoderProfile {
        layers,
        head_norms: false,
        sections: None,
        scales: false,
        positions: text_positions,
        deepstack: |_| 0,
    }
}

fn text_positions(prompt: &PromptMap) -> Vec<[u32; 3]> {
    (0..prompt.len() as u32).map(|position| [position; 3]).collect()
}
