//! The rules of the table `[replay.rank]`. Each rule has its own key, and a file gives exactly one. A rule is declared here, with what it
//! selects, and nowhere else.

use std::ops::{Bound, Range};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::super::below::Below;
use super::super::candidates::Candidates;
use super::super::key::{Described, Fallback};
use super::super::reader::{Diagnostics, Given, Slot, TableReader};
use super::super::shape::{Count, Number, Shape, Thresholds, Written};
use super::group::{self, Group, Place, Slots};
use super::settings::key;

const WITHOUT: Fallback = Fallback::Depends("the preset's rule; one rule is required without a preset");

/// Declares the rules: variant, key, shape, help and what it selects of each. The `note` is documentation for callers of the library.
macro_rules! rules {
    (
        $(#[$attribute:meta])*
        pub enum Rule {
            $(
                $(#[doc = $help:literal])+
                $variant:ident($type:ty) = $key:ident { shape: $shape:expr, selects: $selects:expr $(, note: $note:literal)? $(,)? }
            )+
        }
    ) => {
        $(#[$attribute])*
        pub enum Rule {
            $($(#[doc = $help])+ $(#[doc = ""] #[doc = $note])? $variant($type),)+
        }

        impl Rule {
            /// The key of [`Rank`](super::Rank)'s table that sets this rule.
            #[must_use]
            pub const fn key(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => stringify!($key),)+
                }
            }

            /// Indices of the selected candidates, ascending.
            pub(crate) fn select(&self, candidates: &Candidates<'_>) -> Vec<usize> {
                match self {
                    $(Self::$variant(value) => {
                        let select: fn(&$type, &Candidates<'_>) -> Vec<usize> = $selects;
                        select(value, candidates)
                    })+
                }
            }
        }

        /// The rules as given in the file.
        #[derive(Debug)]
        pub(in crate::config) struct RuleSlots {
            place: Place,
            $(pub(in crate::config) $key: Slot<$type>,)+
        }

        impl RuleSlots {
            /// The rules that the file gives, in the order of the declaration.
            pub(in crate::config) fn rules(&self) -> Vec<Given<Rule>> {
                let rules = [$(self.$key.clone().map(Rule::$variant),)+];
                rules.iter().filter_map(Slot::given).cloned().collect()
            }

            /// Whether there is no rule, not even a refused one.
            pub(in crate::config) fn are_absent(&self) -> bool {
                $(self.$key.is_absent())&&+
            }
        }

        impl Group for Rule {
            type Slots = RuleSlots;

            const KEYS: &'static [&'static dyn Described] = &[$(&key!($key, $shape, WITHOUT, $($help)+),)+];

            fn read(table: &mut TableReader<'_>) -> RuleSlots {
                RuleSlots {
                    place: Place::of(table),
                    $($key: group::read(table, &key!($key, $shape, WITHOUT, $($help)+)),)+
                }
            }

            fn initial() -> Self {
                let all = [$(Self::$variant($shape.placeholder()),)+];
                let [first, ..] = all;
                first
            }

            /// If the file gives several rules, which is an error, the first in the order of the declaration is used.
            fn overlay(&mut self, slots: &RuleSlots) {
                if let Some(rule) = slots.rules().into_iter().next() {
                    *self = rule.value;
                }
            }

            fn list(&self, rows: &mut Vec<(&'static str, String)>) {
                match self {
                    $(Self::$variant(value) => {
                        rows.push((concat!("replay.rank.", stringify!($key)), $shape.toml(value)));
                    })+
                }
            }

            fn identity(&self) -> Map<String, Value> {
                let value = match self {
                    $(Self::$variant(value) => $shape.identity(value),)+
                };
                [(self.key().to_owned(), value)].into_iter().collect()
            }
        }

        impl Slots for RuleSlots {
            fn place(&self) -> &Place {
                &self.place
            }

            fn refuse_suspected(&mut self, diagnostics: &Diagnostics) {
                $(group::refuse_suspected(&mut self.$key, concat!("replay.rank.", stringify!($key)), diagnostics);)+
            }

            fn given(&self) -> Vec<(&'static str, Range<usize>)> {
                let mut all = Vec::new();
                $(group::push_given(&self.$key, concat!("replay.rank.", stringify!($key)), &mut all);)+
                all
            }
        }
    };
}

rules! {
    /// The rule of a [`Rank`](super::Rank). `H` is the entropy of one row at one policy layer, in nats.
    #[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    pub enum Rule {
        /// Rows with H at most this fraction of the largest H of this prompt and layer: the paper's rule.
        FractionOfMax(f64) = fraction_of_max {
            shape: Number { what: "a number", low: Bound::Excluded(0.0), high: Bound::Included(1.0) },
            // Not strict, as in the published code, so that fraction 1 selects every row.
            selects: |fraction, candidates| candidates.at_most(candidates.largest() * *fraction as f32),
            note: "`H <= f * max H`, the maximum over the candidates of this prompt and layer; `0 < f <= 1`.",
        }
        /// Rows with H below an absolute threshold: one for all policy layers, or one for each.
        Below(Below) = below {
            shape: Thresholds,
            // Strict, as in the published code.
            selects: |below, candidates| match below.threshold(candidates.policy_layer()) {
                Some(nats) => candidates.below(nats as f32),
                None => Vec::new(),
            },
        }
        /// This share of the rows, lowest H first.
        Quantile(f64) = quantile {
            shape: Number { what: "a number", low: Bound::Included(0.0), high: Bound::Included(1.0) },
            selects: |share, candidates| candidates.lowest((share * candidates.len() as f64).round() as usize),
        }
        /// This many rows, lowest H first.
        Top(usize) = top {
            shape: Count::<usize>::within(1..=i64::MAX),
            selects: |count, candidates| candidates.lowest(*count),
        }
    }
}
