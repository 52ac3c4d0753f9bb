//! The table `[replay.learned]`: settings of strategy `learned`.

use std::ops::Bound;

use super::super::key::Fallback;
use super::super::layers::MAX_LAYERS;
use super::super::named_enum::named_enum;
use super::super::shape::{Bytes, Choice, Count, Flag, Number};
use super::group::{Group, PartOf};
use super::settings::settings;

/// Upper limit of counts: more steps and more vocabulary entries than any use needs, so a larger number is a mistake.
const MAX_COUNT: i64 = 1_000_000;

settings! {
    table "replay.learned":
        "Settings of strategy `learned`; refused with strategy `substitute`, where they would mean nothing.";

    /// Settings of strategy `learned`.
    pub struct Learned, read as LearnedSlots {
        /// Passes (evaluations of loss and gradient) at most: the steps of gradient descent.
        iterations: u32 {
            shape: Count::<u32>::within(1..=MAX_COUNT),
            fallback: Fallback::Value("25"),
            part_of: PartOf::Both,
            note: "At least one.",
        }
        /// Step size of gradient descent: the paper's alignment strength. For `lbfgs`, the first step only.
        learning_rate: f64 {
            shape: Number { what: "a number", low: Bound::Excluded(0.0), high: Bound::Unbounded },
            fallback: Fallback::Value("10.0"),
            part_of: PartOf::Both,
            note: "Above zero.",
        }
        /// What the loss compares at the selected rows: `lens`, the paper's, the KL divergence of the logit lens;
        /// `residual`, the squared distance of the hidden states, relative to the base's length.
        loss: Loss {
            shape: Choice(Loss::NAMED),
            fallback: Fallback::Value("\"lens\""),
            part_of: PartOf::Both,
            // The published loss is left out, so that fingerprints from before there was another stay as they were.
            when: |learned| learned.loss != Loss::Lens,
        }
        /// Only for loss `lens`: it looks at this many of the base's likeliest vocabulary entries, renormalised.
        top_tokens: usize {
            shape: Count::<usize>::within(1..=MAX_COUNT),
            fallback: Fallback::Value("50"),
            part_of: PartOf::Both,
            when: |learned| learned.loss == Loss::Lens,
            note: "At least one.",
        }
        /// Divide the loss by the number of visual rows.
        normalize: bool {
            shape: Flag,
            fallback: Fallback::Value("true"),
            part_of: PartOf::Both,
        }
        /// How the delta is found: `gradient-descent` takes the paper's steps, `lbfgs` reaches their loss in a
        /// fraction of the passes. When the loss rises, the former ends with the best delta so far; the published
        /// code goes on.
        solver: Solver {
            shape: Choice(Solver::NAMED),
            fallback: Fallback::Value("\"gradient-descent\""),
            part_of: PartOf::Both,
        }
        /// End when a pass lowers the loss by less than this share of it; 0 never does.
        tolerance: f64 {
            shape: Number { what: "a number", low: Bound::Included(0.0), high: Bound::Excluded(1.0) },
            fallback: Fallback::Value("0.0"),
            part_of: PartOf::Both,
        }
        /// Begin no further pass after so many milliseconds and keep the best delta so far; 0 is no limit.
        time_budget_ms: u64 {
            shape: Count::<u64>::within(0..=86_400_000),
            fallback: Fallback::Value("0"),
            part_of: PartOf::Both,
        }
        /// The residual to which the delta is added: 0 is the paper's; others are its control, for policy layers from
        /// there on.
        inject: usize {
            shape: Count::<usize>::within(0..=MAX_LAYERS as i64),
            fallback: Fallback::Value("0"),
            part_of: PartOf::Both,
        }
        /// Memory for intermediate values of a pass that its way back can use; what does not fit is computed again, a
        /// layer at a time. Less is slower, never different.
        activation_memory: u64 {
            shape: Bytes { min: 0 },
            fallback: Fallback::Value("\"256MiB\""),
            part_of: PartOf::Listing,
            note: "In bytes.",
        }
    }
}

impl Default for Learned {
    /// The published values.
    fn default() -> Self {
        Self::initial()
    }
}

named_enum! {
    /// How a delta is found.
    #[derive(Default)]
    pub enum Solver {
        /// Plain gradient descent: the paper's.
        #[default]
        GradientDescent = "gradient-descent",
        /// L-BFGS with a backtracking line search: the same loss in a fraction of the passes.
        Lbfgs = "lbfgs",
    }
}

named_enum! {
    /// What the loss of a delta compares.
    #[derive(Default)]
    pub enum Loss {
        /// KL(base || RLVR) of the logit lens, over the base's likeliest entries: the paper's.
        #[default]
        Lens = "lens",
        /// `|rlvr - base|^2 / |base|^2` of the hidden states.
        Residual = "residual",
    }
}
