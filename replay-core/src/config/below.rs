//! Absolute thresholds of the ranking.

use schemars::JsonSchema;
use serde::Serialize;

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
