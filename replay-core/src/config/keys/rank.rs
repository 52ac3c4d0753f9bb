//! The table `[replay.rank]`: the selection of rows.

use super::super::key::Fallback;
use super::super::named_enum::named_enum;
use super::super::shape::{Choice, Count, Flag};
use super::group::PartOf;
use super::rule::Rule;
use super::settings::settings;

settings! {
    table "replay.rank":
        "Which rows are selected, by the entropy H of the base's logit lens. Exactly one rule: `fraction_of_max`, \
         `below`, `quantile` or `top`; giving one replaces the preset's.";

    /// The selection: one rule, from one end of the ranking.
    pub struct Rank, read as RankSlots {
        includes {
            /// The rule.
            rule: Rule,
        }
        /// Which end of the ranking the rule selects; `high` mirrors each rule, `random` selects as many rows as `low`
        /// would, the same at every layer, by `seed`: both are controls, not remedies. `drifted` selects as many rows,
        /// those that RL moved most: not the paper's, and costs a clean RLVR pass.
        keep: Keep {
            shape: Choice(Keep::NAMED),
            fallback: Fallback::Value("\"low\""),
            part_of: PartOf::Both,
        }
        /// Also require that the base is more certain than the RLVR model. Costs a clean RLVR pass.
        base_below_rlvr: bool {
            shape: Flag,
            fallback: Fallback::Value("false"),
            part_of: PartOf::Both,
            note: "`H_base < H_rlvr`, strictly.",
        }
        /// Only for `keep = "random"`: which rows; prompts with other images have others.
        seed: u64 {
            shape: Count::<u64>::within(0..=i64::MAX),
            fallback: Fallback::Depends("0, with `keep = \"random\"`"),
            part_of: PartOf::Fingerprint,
            when: |rank| rank.keep == Keep::Random,
        }
    }
}

named_enum! {
    /// Which end of the entropy ranking is selected.
    #[derive(Default)]
    pub enum Keep {
        /// The rows the base is most certain about: the paper's method.
        #[default]
        Low = "low",
        /// The rows the base is least certain about: the paper's control, which hurts.
        High = "high",
        /// As many rows as `low` would select, chosen at random (by `seed`): a control.
        Random = "random",
        /// As many rows as `low` would select, those with the largest `|rlvr - base| / |base|`.
        Drifted = "drifted",
    }
}
