//! How a family's decoder is differentiated: what its layers have that others' do not.
use replay_core::PromptMap;
use replay_core::decoder::Sections;
use serde_json::Value;

/// The differentiable decoder of a family: RMSNorm, attention with rotary positions, gated SiLU, RMSNorm again; all weights in the
/// engine's list of linear layers (query, key, value, output, gate, up, down of each layer, in this order).
#[derive(Debug)]
pub struct Decoder {
    /// The decoder layers among the engine's tensors that are never quantised, without index.
    pub layers: &'static str,
    /// Each query and key head has a norm of its own.
    pub head_norms: bool,
    /// How the rotary frequencies are divided among frame, row and column, where a family does that (M-RoPE).
    pub sections: Option<fn(Vec<usize>) -> Sections>,
    /// The engine scales the rotary frequencies as the configuration says, by `llama3` or `linear`.
    pub scales: bool,
    /// Frame, row and column of each row; three times the position, where there are no sections.
    pub positions: fn(&PromptMap) -> Vec<[u32; 3]>,
    /// After how many of the first layers visual features are added to the residual stream.
    pub deepstack: fn(&Value) -> usize,
}

/// A decoder as Llama's, whose rows stand in one line.
pub(super) const fn plain(layers: &'static str) -> Decoder {
    Decoder { layers, head_norms: false, sections: None, scales: false, positions: in_line, deepstack: |_| 0 }
}

fn in_line(prompt: &PromptMap) -> Vec<[u32; 3]> {
    (0..prompt.len() as u32).map(|position| [position; 3]).collect()
}
