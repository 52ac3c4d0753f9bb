//! The effective settings of replay, after preset, file and defaults have been put together.

use schemars::JsonSchema;
use serde::Serialize;

use super::layers::Layers;
use super::names::{Alignment, Keep, OnError, Positions, Preset, Solver, Strategy};
use super::rank::{Rank, Rule};

const MIB: u64 = 1 << 20;

/// The effective settings of replay.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Replay {
    /// Whether replay acts at all. Off, the engine runs as if there were no replay.
    pub enabled: bool,
    /// The preset these settings started from: a label only, everything it says has been put into the other fields.
    pub preset: Option<Preset>,
    /// How the base's activations are brought back.
    pub strategy: Strategy,
    /// The policy layers.
    pub layers: Layers,
    /// Which prompt positions may be ranked and edited.
    pub positions: Positions,
    /// Which residual is edited for the entropy that was ranked.
    pub alignment: Alignment,
    /// What happens to a request whose replay fails.
    pub on_error: OnError,
    /// Strategy `substitute`: the share of the base in a substituted row, from 0 to 1; 1 replaces.
    pub blend: f64,
    /// Also measure KL(base || rlvr) at the selected rows before and after. Costs a clean RLVR pass.
    pub measure_kl: bool,
    /// Bytes that the streamed logit lens may use for one block of rows.
    pub lens_memory: u64,
    /// The selection of rows.
    pub rank: Rank,
    /// Settings of strategy `learned`; without meaning for `substitute`.
    pub learned: Learned,
    /// What is kept of a prompt for later ones.
    pub cache: Cache,
}

/// Settings of strategy `learned`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Learned {
    /// Passes (evaluations of loss and gradient) at most, at least one: the steps of gradient descent.
    pub iterations: u32,
    /// Step size of gradient descent, above zero.
    pub learning_rate: f64,
    /// The loss looks at this many of the base's likeliest vocabulary entries, at least one.
    pub top_tokens: usize,
    /// Divide the loss by the number of visual rows.
    pub normalize: bool,
    /// How the delta is found.
    pub solver: Solver,
    /// End when a pass lowers the loss by less than this share of it; 0 never does.
    pub tolerance: f64,
    /// Begin no further pass after so many milliseconds; 0 is no limit.
    pub time_budget_ms: u64,
    /// The residual to which the delta is added: 0 is the paper's, others are its control.
    pub inject: usize,
    /// Bytes of a pass's intermediate values that may be kept for its way back; what does not fit is computed again.
    pub activation_memory: u64,
}

/// What is kept of a prompt for later ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Cache {
    /// The most memory for captured and learned activations, in bytes; 0 keeps none.
    pub max_bytes: u64,
    /// The most memory for keys and values of prompts and answers, in bytes; 0 keeps none.
    pub prefix_bytes: u64,
}

impl Replay {
    /// Settings with the three values that have no default, and the documented default for everything else.
    #[must_use]
    pub fn new(strategy: Strategy, layers: Layers, rule: Rule) -> Self {
        Self {
            enabled: true,
            preset: None,
            strategy,
            layers,
            positions: Positions::default(),
            alignment: Alignment::default(),
            on_error: OnError::default(),
            blend: 1.0,
            measure_kl: false,
            lens_memory: 64 * MIB,
            rank: Rank { rule, keep: Keep::default(), base_below_rlvr: false, seed: 0 },
            learned: Learned::default(),
            cache: Cache::default(),
        }
    }
}

impl Default for Learned {
    /// The published values.
    fn default() -> Self {
        Self {
            iterations: 25,
            learning_rate: 10.0,
            top_tokens: 50,
            normalize: true,
            solver: Solver::default(),
            tolerance: 0.0,
            time_budget_ms: 0,
            inject: 0,
            activation_memory: 256 * MIB,
        }
    }
}

impl Default for Cache {
    fn default() -> Self {
        Self { max_bytes: 512 * MIB, prefix_bytes: 0 }
    }
}
