//! What the engine's sampler leaves out. It takes no note of `logits_bias`; and at a temperature of zero it tells logarithms of logits where
//! log-probabilities are meant.
use std::collections::HashMap;
use std::sync::Arc;

use candle_core::{Device, Result, Tensor};
use mistralrs_core::{CustomLogitsProcessor, NormalRequest};

/// Below it the engine's sampler takes the largest logit (with no temperature it takes 1).
const GREEDY: f64 = 1e-7;

/// Adds what is left out to a request, behind processors of its own.
pub(super) fn complete(request: &mut NormalRequest) {
    let mut more: Vec<Arc<dyn CustomLogitsProcessor>> = Vec::new();
    if let Some(biases) = request.sampling_params.logits_bias.clone().filter(|biases| !biases.is_empty()) {
        more.push(Arc::new(move |logits: &Tensor, _: &[u32]| biased(logits, &biases)));
    }
    let greedy = request.sampling_params.temperature.is_some_and(|temperature| temperature < GREEDY);
    if greedy && request.return_logprobs {
        more.push(Arc::new(|logits: &Tensor, _: &[u32]| softmax(logits)));
    }
    if !more.is_empty() {
        request.logits_processors.get_or_insert_default().extend(more);
    }
}

/// # Shapes
/// `logits`: `[vocabulary]`, as the result.
fn biased(logits: &Tensor, biases: &HashMap<u32, f32>) -> Result<Tensor> {
    let mut values: Vec<f32> = logits.to_vec1()?;
    for (token, bias) in biases {
        if let Some(value) = values.get_mut(*token as usize) {
            *value += bias;
        }
    }
    Tensor::from_vec(values, logits.shape(), &Device::Cpu)
}

/// Probabilities, whose largest is where the largest logit was.
///
/// # Shapes
/// `logits`: `[vocabulary]`, as the result.
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
    fn a_bias_moves_its_token_and_none_beyond_the_vocabulary() {
        let logits = Tensor::new(&[1f32, 2.0, 3.0], &Device::Cpu).unwrap();
        let biases = HashMap::from([(2, -100.0), (0, 0.5), (4_000_000_000, 7.0)]);
        assert_eq!(biased(&logits, &biases).unwrap().to_vec1::<f32>().unwrap(), [1.5, 2.0, -97.0]);
    }

    #[test]
    fn probabilities_sum_to_one_and_hold_for_large_and_impossible_logits() {
        let logits = Tensor::new(&[1e4f32, 1e4 - 1.0, f32::NEG_INFINITY], &Device::Cpu).unwrap();
        let probabilities = softmax(&logits).unwrap().to_vec1::<f32>().unwrap();
        assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-6 && probabilities[2] == 0.0);
        assert!((probabilities[0].ln() - probabilities[1].ln() - 1.0).abs() < 1e-5, "{probabilities:?}");
    }
}
