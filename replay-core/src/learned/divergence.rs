//! KL(base || RLVR) over a few vocabulary entries, renormalised, with its gradient.

/// `x - ln sum e^x`, in f64: base and RLVR rows with equal logits come out equal bit for bit, so that their divergence is exactly zero.
pub(super) fn log_softmax(logits: &[f32]) -> impl Iterator<Item = f64> + '_ {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let max = f64::from(max);
    let sum: f64 = logits.iter().map(|&x| (f64::from(x) - max).exp()).sum();
    logits.iter().map(move |&x| f64::from(x) - max - sum.ln())
}

/// Divergence of one row; adds `weight` times its gradient with respect to `logits`, `q - p`, to `gradient`.
pub(super) fn row(log_p: &[f64], logits: &[f32], weight: f64, gradient: &mut Vec<f32>) -> f64 {
    let mut kl = 0.0;
    for (&log_p, log_q) in log_p.iter().zip(log_softmax(logits)) {
        let p = log_p.exp();
        kl += p * (log_p - log_q);
        gradient.push((weight * (log_q.exp() - p)) as f32);
    }
    kl
}
