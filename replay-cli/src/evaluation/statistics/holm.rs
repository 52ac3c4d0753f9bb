//! Correction of p-values for the number of tests.

/// The p-values after Holm's step-down correction (Holm 1979), in the order given: whoever rejects those below 0.05 is wrong about any true
/// hypothesis with probability 0.05 at most, whatever the dependence between the tests.
#[must_use]
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut adjusted = vec![0.0; p.len()];
    let mut largest = 0.0_f64;
    for (rank, &index) in order.iter().enumerate() {
        largest = largest.max((p[index] * (p.len() - rank) as f64).min(1.0));
        adjusted[index] = largest;
    }
    adjusted
}
