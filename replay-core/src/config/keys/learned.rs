//! The table `[replay.learned]`: settings of strategy `learned`.

use std::ops::Bound;

use super::super::shape::{Flag, Integer, Number};
use super::{Fallback, Key, Table};

/// More steps than anyone would wait for, and more entries than any vocabulary has: a larger number is a slip.
const MAX_COUNT: i64 = 1_000_000;

pub(super) const TABLE: Table = Table {
    path: "replay.learned",
    meaning: "Settings of strategy `learned`; refused with strategy `substitute`, where they would mean nothing.",
    keys: &[&ITERATIONS, &LEARNING_RATE, &TOP_TOKENS, &NORMALIZE],
};

pub(in crate::config) static ITERATIONS: Key<Integer> = Key {
    name: "iterations",
    shape: Integer(1..=MAX_COUNT),
    fallback: Fallback::Value("25"),
    meaning: "Steps of gradient descent.",
};

pub(in crate::config) static LEARNING_RATE: Key<Number> = Key {
    name: "learning_rate",
    shape: Number { what: "a number", low: Bound::Excluded(0.0), high: Bound::Unbounded },
    fallback: Fallback::Value("10.0"),
    meaning: "Step size of gradient descent: the paper's alignment strength.",
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
