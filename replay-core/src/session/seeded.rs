//! Sampling by seed. The same seed gives the same answer, whatever else the engine is doing, and answers of two configurations with the
//! same seed differ through their logits only. All adapters sample with it, so that answers of different engines are comparable.

use super::Sampling;

/// `logits / temperature` plus Gumbel noise. Its largest entry is a sample of the softmax (Gumbel-max; Maddison et al. 2014, arXiv
/// 1411.0030, section 2), so that greedy decoding of it samples. The noise depends on seed, position and token only.
///
/// # Shapes
/// `logits`: `[vocabulary]`; returns the same. `position` is the number of tokens before the one that is sampled.
pub fn perturb(logits: &[f32], temperature: f64, seed: u64, position: usize) -> Vec<f32> {
    let stream = mix(seed ^ mix(position as u64));
    let noisy = |(token, logit): (usize, &f32)| {
        let gumbel = -(-uniform(mix(stream ^ token as u64)).ln()).ln();
        (f64::from(*logit) / temperature + gumbel) as f32
    };
    logits.iter().enumerate().map(noisy).collect()
}

/// The logits of the tokens that may be sampled, and minus infinity for the others: of the `top_k` likeliest those that `top_p` keeps (the
/// likeliest whose probabilities reach it together), and of these those with at least `min_p` of the largest probability.
///
/// # Shapes
/// `logits`: `[vocabulary]`; returns the same.
pub fn truncated(logits: &[f32], sampling: &Sampling) -> Vec<f32> {
    let mut kept = logits.to_vec();
    let limits = sampling.top_k.is_some() || sampling.top_p.is_some() || sampling.min_p.is_some();
    let Some(temperature) = sampling.positive_temperature().filter(|_| limits) else { return kept };
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
    let Some(largest) = order.first().map(|&token| f64::from(logits[token])) else { return kept };
    let weight = |token: usize| ((f64::from(logits[token]) - largest) / temperature).exp();
    let top = order.len().min(sampling.top_k.filter(|&k| k > 0).unwrap_or(usize::MAX));
    let total: f64 = order[..top].iter().map(|&token| weight(token)).sum();
    let (mut sum, mut stays) = (0.0, top);
    for (rank, &token) in order[..top].iter().enumerate() {
        // The likeliest token always stays.
        let enough = sampling.top_p.is_some_and(|p| sum >= p * total);
        let small = sampling.min_p.is_some_and(|p| weight(token) < p);
        if rank > 0 && (enough || small) {
            stays = rank;
            break;
        }
        sum += weight(token);
    }
    for &token in &order[stays..] {
        kept[token] = f32::NEG_INFINITY;
    }
    kept
}

/// SplitMix64's output function (Steele et al. 2014).
fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A number strictly between 0 and 1 from 64 random bits.
fn uniform(bits: u64) -> f64 {
    ((bits >> 12) as f64 + 0.5) / (1u64 << 52) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_tokens_that_the_limits_keep_can_be_sampled() {
        let logits: Vec<f32> = [0.5f32, 0.3, 0.15, 0.05].map(f32::ln).to_vec();
        let kept = |top_k, top_p, min_p, temperature| -> usize {
            let sampling = Sampling { temperature, top_k, top_p, min_p, ..Sampling::default() };
            truncated(&logits, &sampling).iter().filter(|logit| logit.is_finite()).count()
        };
        let one = Some(1.0);
        assert_eq!(
            [kept(None, None, None, one), kept(Some(2), None, None, one), kept(Some(9), None, None, one)],
            [4, 2, 4]
        );
        assert_eq!([0.0, 0.5, 0.51, 0.8, 0.96, 1.0].map(|p| kept(None, Some(p), None, one)), [1, 1, 2, 2, 4, 4]);
        assert_eq!([0.05, 0.2, 0.5, 1.0].map(|p| kept(None, None, Some(p), one)), [4, 3, 2, 1]);
        assert_eq!((kept(Some(3), Some(0.9), Some(0.5), one), kept(Some(2), None, None, None)), (2, 4));
        assert!(truncated(&[], &Sampling { temperature: one, top_k: Some(1), ..Sampling::default() }).is_empty());
    }

    fn sample(logits: &[f32], temperature: f64, seed: u64, position: usize) -> usize {
        let noisy = perturb(logits, temperature, seed, position);
        noisy.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(token, _)| token)
    }

    #[test]
    fn samples_follow_the_softmax_at_the_temperature() {
        let logits = [0.0f32, 1.0, 2.0];
        for temperature in [1.0, 0.5] {
            let weights: Vec<f64> = logits.iter().map(|&x| (f64::from(x) / temperature).exp()).collect();
            let total: f64 = weights.iter().sum();
            let mut counts = [0f64; 3];
            let draws = 20_000;
            for seed in 0..draws {
                counts[sample(&logits, temperature, seed, 7)] += 1.0;
            }
            for (count, weight) in counts.iter().zip(&weights) {
                let (got, want) = (count / draws as f64, weight / total);
                // Four standard errors.
                assert!((got - want).abs() < 4.0 * (want * (1.0 - want) / draws as f64).sqrt(), "{got} {want}");
            }
        }
    }

    #[test]
    fn a_sample_depends_on_seed_and_position() {
        let logits = vec![0f32; 1000];
        assert_eq!(sample(&logits, 1.0, 3, 5), sample(&logits, 1.0, 3, 5));
        assert_ne!(sample(&logits, 1.0, 3, 5), sample(&logits, 1.0, 3, 6));
        assert_ne!(sample(&logits, 1.0, 3, 5), sample(&logits, 1.0, 4, 5));
    }
}
