//! The table `[replay.rank]`: the selection of rows.

use std::ops::Bound;

use super::super::key::{Fallback, Key};
use super::super::names::Keep;
use super::super::shape::{Choice, Flag, Integer, Number, Thresholds};
use super::super::table::Table;

const NO_RULE: Fallback = Fallback::Depends("the preset's rule; one rule is required without a preset");

pub(super) const TABLE: Table = Table {
    path: "replay.rank",
    meaning: "Which rows are selected, by the entropy H of the base's logit lens. Exactly one rule: `fraction_of_max`, \
              `below`, `quantile` or `top`; giving one replaces the preset's.",
    keys: &[&FRACTION_OF_MAX, &BELOW, &QUANTILE, &TOP, &KEEP, &BASE_BELOW_RLVR, &SEED],
};

pub(in crate::config) static FRACTION_OF_MAX: Key<Number> = Key {
    name: "fraction_of_max",
    shape: Number { what: "a number", low: Bound::Excluded(0.0), high: Bound::Included(1.0) },
    fallback: NO_RULE,
    meaning: "Rows with H at most this fraction of the largest H of this prompt and layer: the paper's rule.",
};

pub(in crate::config) static BELOW: Key<Thresholds> = Key {
    name: "below",
    shape: Thresholds,
    fallback: NO_RULE,
    meaning: "Rows with H below an absolute threshold: one for all policy layers, or one for each.",
};

pub(in crate::config) static QUANTILE: Key<Number> = Key {
    name: "quantile",
    shape: Number { what: "a number", low: Bound::Included(0.0), high: Bound::Included(1.0) },
    fallback: NO_RULE,
    meaning: "This share of the rows, lowest H first.",
};

pub(in crate::config) static TOP: Key<Integer> =
    Key { name: "top", shape: Integer(1..=i64::MAX), fallback: NO_RULE, meaning: "This many rows, lowest H first." };

pub(in crate::config) static KEEP: Key<Choice<'static, Keep>> = Key {
    name: "keep",
    shape: Choice(Keep::NAMED),
    fallback: Fallback::Value("\"low\""),
    meaning: "Which end of the ranking the rule selects; `high` mirrors each rule, `random` selects as many rows as `low` \
              would, by `seed`: both are controls, not remedies.",
};

pub(in crate::config) static BASE_BELOW_RLVR: Key<Flag> = Key {
    name: "base_below_rlvr",
    shape: Flag,
    fallback: Fallback::Value("false"),
    meaning: "Also require that the base is more certain than the RLVR model. Costs a clean RLVR pass.",
};

pub(in crate::config) static SEED: Key<Integer> = Key {
    name: "seed",
    shape: Integer(0..=i64::MAX),
    fallback: Fallback::Depends("0, with `keep = \"random\"`"),
    meaning: "Only for `keep = \"random\"`: which rows.",
};
