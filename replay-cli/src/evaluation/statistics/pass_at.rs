//! The pass@k estimator.

/// The unbiased estimate of the probability that at least one of `k` samples is right, from `correct` right ones of `samples`:
/// `1 - C(n-c, k) / C(n, k)` (Chen et al. 2021, arXiv 2107.03374, equation 1), computed as the product in their listing, which cannot overflow.
///
/// `None` where it is undefined: `k` is 0 or more than `samples`, or `correct` is more than `samples`.
#[must_use]
pub fn pass_at(samples: u32, correct: u32, k: u32) -> Option<f64> {
    if k == 0 || k > samples || correct > samples {
        return None;
    }
    // With fewer wrong samples than `k`, one of `k` is always right; the product would have a factor of 0 or less.
    if samples - correct < k {
        return Some(1.0);
    }
    let all_wrong: f64 = (0..correct).map(|i| 1.0 - f64::from(k) / f64::from(samples - i)).product();
    Some(1.0 - all_wrong)
}
