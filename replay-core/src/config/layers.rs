//! The policy layers.

use schemars::JsonSchema;
use serde::Serialize;

/// More decoder layers than any model has: a larger number in a file is a mistake.
pub const MAX_LAYERS: usize = 4096;

/// The policy layers: decoder layers whose outputs are ranked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Layers {
    /// The first `n` decoder layers, at least one.
    First(usize),
    /// These decoder layers, ascending, counted from 0.
    List(Vec<usize>),
}

/// The configuration asks for a decoder layer that the model does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "replay.layers asks for decoder layer {layer} (counted from 0), but the model has {decoder_layers} decoder layers; \
     ask for at most the first {decoder_layers}"
)]
pub struct NoSuchLayer {
    /// The highest layer asked for.
    pub layer: usize,
    /// How many decoder layers the model has.
    pub decoder_layers: usize,
}

impl Layers {
    /// How many policy layers there are.
    #[must_use]
    pub fn count(&self) -> usize {
        match self {
            Self::First(count) => *count,
            Self::List(list) => list.len(),
        }
    }

    /// The lowest policy layer.
    #[must_use]
    pub fn lowest(&self) -> Option<usize> {
        match self {
            Self::First(count) => (*count > 0).then_some(0),
            Self::List(list) => list.first().copied(),
        }
    }

    /// The highest policy layer: nothing above it has to be computed for capture or learning.
    #[must_use]
    pub fn highest(&self) -> Option<usize> {
        match self {
            Self::First(count) => count.checked_sub(1),
            Self::List(list) => list.last().copied(),
        }
    }

    /// The policy layers of a model with `decoder_layers` layers, ascending.
    ///
    /// # Errors
    ///
    /// [`NoSuchLayer`] if the model is too shallow. The list is never cut short silently: a replay on fewer layers
    /// than configured would be another experiment under the same name.
    pub fn policy_layers(&self, decoder_layers: usize) -> Result<Vec<usize>, NoSuchLayer> {
        match self.highest() {
            Some(layer) if layer >= decoder_layers => Err(NoSuchLayer { layer, decoder_layers }),
            _ => Ok(match self {
                Self::First(count) => (0..*count).collect(),
                Self::List(list) => list.clone(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Layers;

    #[test]
    fn first_layers_become_a_list() {
        assert_eq!(Layers::First(3).policy_layers(28).unwrap(), [0, 1, 2]);
        assert_eq!(Layers::List(vec![2, 15]).policy_layers(16).unwrap(), [2, 15]);
    }

    #[test]
    fn a_shallow_model_is_refused_rather_than_truncated() {
        let error = Layers::First(16).policy_layers(12).unwrap_err();
        assert_eq!((error.layer, error.decoder_layers), (15, 12));
        assert!(error.to_string().contains("has 12 decoder layers"));
        assert!(Layers::List(vec![3, 12]).policy_layers(12).is_err());
        assert!(Layers::First(12).policy_layers(12).is_ok());
    }
}
