//! The table `[replay.gate]`: which prompts are replayed.

use std::ops::Bound;

use super::super::key::Fallback;
use super::super::layers::MAX_LAYERS;
use super::super::shape::{Count, Number, Optional};
use super::group::{Group, PartOf};
use super::settings::settings;

settings! {
    table "replay.gate":
        "Which prompts are replayed: all of them, or those unlike what RL was trained on. `replay analyse` calibrates it.";

    /// Which prompts are replayed.
    pub struct Gate, read as GateSlots {
        /// Replay only prompts whose text rows have a mean drift `|rlvr - base| / |base|` of their hidden states below
        /// this: RL moves the prompts that it was trained on most. Costs a pass of both models up to `residual`.
        drift_below: Option<f64> {
            shape: Optional(Number { what: "a number", low: Bound::Excluded(0.0), high: Bound::Unbounded }),
            fallback: Fallback::Depends("no gate: every prompt is replayed"),
            part_of: PartOf::Both,
            when: |gate| gate.drift_below.is_some(),
        }
        /// The residual at which the drift is measured.
        residual: Option<usize> {
            shape: Optional(Count::<usize>::within(1..=MAX_LAYERS as i64)),
            fallback: Fallback::Depends("the output of the first policy layer"),
            part_of: PartOf::Both,
            when: |gate| gate.drift_below.is_some() && gate.residual.is_some(),
        }
    }
}

impl Default for Gate {
    /// No gate.
    fn default() -> Self {
        Self::initial()
    }
}
