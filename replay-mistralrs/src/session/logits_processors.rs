//! Logits processors for two gaps of the engine's sampler: it ignores `logits_bias`, and at temperature zero it returns logarithms of logits as
//! log-probabilities.
use std::collections::HashMap;
use std::sync::Arc;

use candle_core::{Device, Result, Tensor};
use mistralrs_core::{CustomLogitsProcessor, NormalRequest};

/// Below this temperature the engine's sampler takes the largest logit; without a temperature it assumes 1.
const GREEDY_BELOW: f64 = 1e-7;

/// Adds the processors that a request needs, after those that it has.
pub(super) fn add_logits_processors(request: &mut NormalRequest) {
    let mut processors: Vec<Arc<dyn CustomLogitsProcessor>> = Vec::new();
    if let Some(biases) = request.sampling_params.logits_bias.clone().filter(|biases| !biases.is_empty()) {
        processors.push(Arc::new(move |logits: &Tensor, _: &[u32]| add_biases(logits, &biases)));
    }
    let greedy = request.sampling_params.temperature.is_some_and(|temperature| temperature < GREEDY_BELOW);
    if greedy && request.return_logprobs {
        processors.push(Arc::new(|logits: &Tensor, _: &[u32]| softmax(logits)));
    }
    if !processors.is_empty() {
        request.logits_processors.get_or_insert_default().extend(processors);
    }
}

/// Adds a bias to the logit of each token; tokens beyond the vocabulary are ignored.
///
/// # Shapes
/// `logits` and result: `[vocabulary]`.
fn add_biases(logits: &Tensor, biases: &HashMap<u32, f32>) -> Result<Tensor> {
    let mut values: Vec<f32> = logits.to_vec1()?;
    for (token, bias) in biases {
        if let Some(value) = values.get_mut(*token as usize) {
            *value += bias;
        }
    }
    Tensor::from_vec(values, logits.shape(), &Device::Cpu)
}

/// The probabilities of the logits. They have the order of the logits, so greedy decoding gives the same token.
///
/// # Shapes
/// `logits` and result: `[vocabulary]`.
fn softmax(logits: &Tensor) -> Result<Tensor> {
    let logits: Vec<f32> = logits.to_vec1()?;
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f64> = logits.iter().map(|logit| f64::from(logit - largest).exp()).collect();
    let sum: f64 = weights.iter().sum();
    let shape = weights.len();
    Tensor::from_vec(weights.into_iter().map(|weight| (weight / sum) as f32).collect(), shape, &Device::Cpu)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bias_is_added_to_its_token_and_ignored_beyond_the_vocabulary() {
        let logits = Tensor::new(&[1f32, 2.0, 3.0], &Device::Cpu).unwrap();
        let biases = HashMap::from([(2, -100.0), (0, 0.5), (4_000_000_000, 7.0)]);
        assert_eq!(add_biases(&logits, &biases).unwrap().to_vec1::<f32>().unwrap(), [1.5, 2.0, -97.0]);
    }

    #[test]
    fn probabilities_sum_to_one_for_large_and_infinite_logits() {
        let logits = Tensor::new(&[1e4f32, 1e4 - 1.0, f32::NEG_INFINITY], &Device::Cpu).unwrap();
        let probabilities = softmax(&logits).unwrap().to_vec1::<f32>().unwrap();
        assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-6 && probabilities[2] == 0.0);
        assert!((probabilities[0].ln() - probabilities[1].ln() - 1.0).abs() < 1e-5, "{probabilities:?}");
    }
}
