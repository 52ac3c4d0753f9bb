//! The keys of the file: the one list behind the reader, the JSON schema and the reference page.

mod learned;
mod pair;
mod rank;
mod replay;
mod tables;

pub(super) use learned::{
    ACTIVATION_MEMORY, INJECT, ITERATIONS, LEARNING_RATE, NORMALIZE, SOLVER, TIME_BUDGET_MS, TOLERANCE, TOP_TOKENS,
};
pub(super) use pair::{ADAPTER, BASE, RLVR};
pub(super) use rank::{BASE_BELOW_RLVR, BELOW, FRACTION_OF_MAX, KEEP, QUANTILE, SEED, TOP};
pub(super) use replay::{
    ALIGNMENT, BLEND, ENABLED, LAYERS, LENS_MEMORY, MAX_BYTES, MEASURE_KL, ON_ERROR, POSITIONS, PREFIX_BYTES, PRESET,
    STRATEGY,
};
pub(super) use tables::{TABLES, home_of};

pub(super) use super::key::Fallback;
