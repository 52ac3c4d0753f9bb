//! The range of a layer's entropies.
use serde::Serialize;

/// Lowest, mean and highest entropy of the ranked rows of one layer, in nats.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct EntropySpread {
    /// Lowest.
    pub min: f32,
    /// Mean.
    pub mean: f32,
    /// Highest.
    pub max: f32,
}

impl EntropySpread {
    /// The spread of these entropies; `None` without any.
    pub fn of(values: &[f32]) -> Option<Self> {
        let sum: f64 = values.iter().copied().map(f64::from).sum();
        (!values.is_empty()).then(|| Self {
            min: values.iter().copied().fold(f32::INFINITY, f32::min),
            mean: (sum / values.len() as f64) as f32,
            max: values.iter().copied().fold(f32::NEG_INFINITY, f32::max),
        })
    }
}
