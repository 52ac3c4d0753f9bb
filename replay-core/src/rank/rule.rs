//! The rules. Each selects low entropies; `keep = "high"` mirrors it.
use super::order;
use crate::config::{Keep, Rank, Rule};

/// Indices of the selected values, ascending. `index` is the position of the policy layer in the list of policy layers.
pub(super) fn select(rank: &Rank, index: usize, values: &[f32]) -> Vec<usize> {
    let high = rank.keep == Keep::High;
    let that = |keep: &dyn Fn(f32) -> bool| (0..values.len()).filter(|&i| keep(values[i])).collect();
    match &rank.rule {
        Rule::FractionOfMax(fraction) => {
            let max = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let threshold = max * *fraction as f32;
            // Not strict: the published code's, so that fraction 1 selects every row.
            if high { that(&|h| h >= threshold) } else { that(&|h| h <= threshold) }
        }
        Rule::Below(below) => match below.threshold(index).map(|nats| nats as f32) {
            // Strict: the published code's.
            Some(threshold) if high => that(&|h| h > threshold),
            Some(threshold) => that(&|h| h < threshold),
            None => Vec::new(),
        },
        Rule::Quantile(share) => order::first(values, (share * values.len() as f64).round() as usize, high),
        Rule::Top(count) => order::first(values, *count, high),
    }
}

/// As many of `candidates` as `count`, whatever their entropy: those with the lowest hashes of seed, layer and position.
pub(super) fn random(seed: u64, layer: usize, candidates: &[usize], count: usize) -> Vec<usize> {
    let draw = |&position: &usize| {
        let place = [seed, layer as u64, position as u64].map(u64::to_le_bytes).concat();
        *blake3::hash(&place).as_bytes()
    };
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by_cached_key(|&i| draw(&candidates[i]));
    order.truncate(count);
    order.sort_unstable();
    order
}
