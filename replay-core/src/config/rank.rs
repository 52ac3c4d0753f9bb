//! How rows are selected by the entropy of the base's logit lens.

use schemars::JsonSchema;
use serde::Serialize;

use super::names::Keep;

/// The selection: one rule, from one end of the ranking.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Rank {
    /// The rule.
    pub rule: Rule,
    /// The end of the ranking the rule selects from.
    pub keep: Keep,
    /// Also require that the base is more certain than the RLVR model: `H_base < H_rlvr`, strictly. Costs a clean
    /// RLVR pass.
    pub base_below_rlvr: bool,
    /// Which rows `keep = "random"` selects.
    pub seed: u64,
}

/// The rule of a [`Rank`]. `H` is the entropy of one row at one policy layer, in nats.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// `H <= f * max H`, the maximum over the candidates of this prompt and layer; `0 < f <= 1`.
    FractionOfMax(f64),
    /// `H` below an absolute threshold.
    Below(Below),
    /// The given share of the candidates, lowest first; from 0 to 1.
    Quantile(f64),
    /// So many candidates, lowest first; at least one.
    Top(usize),
}

/// Absolute thresholds in nats, each finite and not negative.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Below {
    /// The same threshold for every policy layer.
    All(f64),
    /// One threshold per policy layer, in their order.
    PerLayer(Vec<f64>),
}

impl Below {
    /// The threshold of the policy layer at `index` of the policy layers; `None` past the end of the list.
    #[must_use]
    pub fn threshold(&self, index: usize) -> Option<f64> {
        match self {
            Self::All(threshold) => Some(*threshold),
            Self::PerLayer(thresholds) => thresholds.get(index).copied(),
        }
    }
}

impl Rule {
    /// The key of [`Rank`]'s table that sets this rule.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self {
            Self::FractionOfMax(_) => "fraction_of_max",
            Self::Below(_) => "below",
            Self::Quantile(_) => "quantile",
            Self::Top(_) => "top",
        }
    }
}
