//! KL(base || RLVR) over a few vocabulary entries, renormalised, with its gradient.

/// `x - ln sum e^x` of each logit, in f64. Equal logits of base and RLVR model give equal bits, so that their divergence is exactly zero.
pub(super) fn log_softmax(logits: &[f32]) -> impl Iterator<Item = f64> + '_ {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let max = f64::from(max);
    let sum: f64 = logits.iter().map(|&x| (f64::from(x) - max).exp()).sum();
    logits.iter().map(move |&x| f64::from(x) - max - sum.ln())
}

/// KL divergence of one row. Appends `weight` times its gradient with respect to `logits`, which is `q - p`, to `gradient`.
pub(super) fn row(log_p: &[f64], logits: &[f32], weight: f64, gradient: &mut Vec<f32>) -> f64 {
    let mut kl = 0.0;
    for (&log_p, log_q) in log_p.iter().zip(log_softmax(logits)) {
        let p = log_p.exp();
        // An entry with p = 0 adds nothing, even if q = 0 too (0 times infinity). NaN stays NaN.
        if p != 0.0 {
            kl += p * (log_p - log_q);
        }
        gradient.push((weight * (log_q.exp() - p)) as f32);
    }
    kl
}

#[cfg(test)]
mod tests {
    use super::*;

    fn divergence(p: &[f32], q: &[f32]) -> (f64, Vec<f32>) {
        let mut gradient = Vec::new();
        let kl = row(&log_softmax(p).collect::<Vec<_>>(), q, 1.0, &mut gradient);
        (kl, gradient)
    }

    #[test]
    fn excluded_entries_add_nothing_and_nan_stays_nan() {
        let out = f32::NEG_INFINITY;
        assert_eq!(divergence(&[1.0, out, 2.0], &[1.0, out, 2.0]), (0.0, vec![0.0; 3]));
        let (kl, gradient) = divergence(&[1.0, out], &[1.0, 1.0]);
        assert!((kl - 2f64.ln()).abs() < 1e-6 && gradient == [-0.5, 0.5], "{kl} {gradient:?}");
        assert!(divergence(&[1.0, f32::NAN], &[1.0, 1.0]).0.is_nan());
        assert!(divergence(&[1.0, 1.0], &[1.0, f32::NAN]).0.is_nan());
        assert_eq!(divergence(&[1e30, -1e30], &[1e30, -1e30]).0, 0.0);
    }
}
