//! Sampling by seed. The same seed gives the same answer, whatever else the engine is doing, and answers of two configurations with the
//! same seed differ through their logits only. All adapters sample with it, so that answers of different engines are comparable.

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
