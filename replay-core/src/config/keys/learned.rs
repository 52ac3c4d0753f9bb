//! The table `[replay.learned]`: settings of strategy `learned`.

use std::ops::Bound;

use super::super::key::{Fallback, Key};
use super::super::layers::MAX_LAYERS;
use super::super::names::Solver;
use super::super::shape::{Bytes, Choice, Flag, Integer, Number};
use super::super::table::Table;

/// More steps than anyone would wait for, and more entries than any vocabulary has: a larger number is a slip.
const MAX_COUNT: i64 = 1_000_000;

pub(super) const TABLE: Table = Table {
    path: "replay.learned",
    meaning: "Settings of strategy `learned`; refused with strategy `substitute`, where they would mean nothing.",
    keys: &[
        &ITERATIONS,
        &LEARNING_RATE,
        &TOP_TOKENS,
        &NORMALIZE,
        &SOLVER,
        &TOLERANCE,
        &TIME_BUDGET_MS,
        &INJECT,
        &ACTIVATION_MEMORY,
    ],
};

pub(in crate::config) static ITERATIONS: Key<Integer> = Key {
    name: "iterations",
    shape: Integer(1..=MAX_COUNT),
    fallback: Fallback::Value("25"),
    meaning: "Passes (evaluations of loss and gradient) at most: the steps of gradient descent.",
};

pub(in crate::config) static LEARNING_RATE: Key<Number> = Key {
    name: "learning_rate",
    shape: Number { what: "a number", low: Bound::Excluded(0.0), high: Bound::Unbounded },
    fallback: Fallback::Value("10.0"),
    meaning: "Step size of gradient descent: the paper's alignment strength. For `lbfgs`, the first step only.",
};

pub(in crate::config) static TOP_TOKENS: Key<Integer> = Key {
    name: "top_tokens",
    shape: Integer(1..=MAX_COUNT),
    fallback: Fallback::Value("50"),
    meaning: "The loss looks at this many of the base's likeliest vocabulary entries, renormalised.",
};

pub(in crate::config) static NORMALIZE: Key<Flag> = Key {
    name: "normalize",
    shape: Flag,
    fallback: Fallback::Value("true"),
    meaning: "Divide the loss by the number of visual rows.",
};

pub(in crate::config) static SOLVER: Key<Choice<'static, Solver>> = Key {
    name: "solver",
    shape: Choice(Solver::NAMED),
    fallback: Fallback::Value("\"gradient-descent\""),
    meaning: "How the delta is found: `gradient-descent` takes the paper's steps, `lbfgs` reaches their loss in a fraction of the \
              passes. When the loss rises, the former ends with the best delta so far; the published code goes on.",
};

pub(in crate::config) static TOLERANCE: Key<Number> = Key {
    name: "tolerance",
    shape: Number { what: "a number", low: Bound::Included(0.0), high: Bound::Excluded(1.0) },
    fallback: Fallback::Value("0.0"),
    meaning: "End when a pass lowers the loss by less than this share of it; 0 never does.",
};

pub(in crate::config) static TIME_BUDGET_MS: Key<Integer> = Key {
    name: "time_budget_ms",
    shape: Integer(0..=86_400_000),
    fallback: Fallback::Value("0"),
    meaning: "Begin no further pass after so many milliseconds and keep the best delta so far; 0 is no limit.",
};

pub(in crate::config) static INJECT: Key<Integer> = Key {
    name: "inject",
    shape: Integer(0..=MAX_LAYERS as i64),
    fallback: Fallback::Value("0"),
    meaning: "The residual to which the delta is added: 0 is the paper's; others are its control, for policy layers from \
              there on.",
};

pub(in crate::config) static ACTIVATION_MEMORY: Key<Bytes> = Key {
    name: "activation_memory",
    shape: Bytes { least: 0 },
    fallback: Fallback::Value("\"256MiB\""),
    meaning: "Memory for intermediate values of a pass that its way back can use; what does not fit is computed again, a \
              layer at a time. Less is slower, never different.",
};
