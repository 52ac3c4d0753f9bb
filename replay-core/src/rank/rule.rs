//! The ranking rules. Each selects low entropies; `keep = "high"` selects high ones instead.
use super::order;
use crate::config::{Keep, Rank, Rule};

/// Indices of the selected values, ascending. `index` is the position of the policy layer in the list of policy layers.
pub(super) fn select(rank: &Rank, index: usize, values: &[f32]) -> Vec<usize> {
    let high = rank.keep == Keep::High;
    let select = |keep: &dyn Fn(f32) -> bool| (0..values.len()).filter(|&i| keep(values[i])).collect();
    match &rank.rule {
        Rule::FractionOfMax(fraction) => {
            let max = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let threshold = max * *fraction as f32;
            // Not strict, as in the published code, so that fraction 1 selects every row.
            if high { select(&|h| h >= threshold) } else { select(&|h| h <= threshold) }
        }
        Rule::Below(below) => match below.threshold(index).map(|nats| nats as f32) {
            // Strict, as in the published code.
            Some(threshold) if high => select(&|h| h > threshold),
            Some(threshold) => select(&|h| h < threshold),
            None => Vec::new(),
        },
        Rule::Quantile(share) => order::first(values, (share * values.len() as f64).round() as usize, high),
        Rule::Top(count) => order::first(values, *count, high),
    }
}

/// Indices of `count` random `candidates`, ascending: those with the lowest hashes of seed, layer and position.
pub(super) fn random(seed: u64, layer: usize, candidates: &[usize], count: usize) -> Vec<usize> {
    let hash = |&position: &usize| {
        let input = [seed, layer as u64, position as u64].map(u64::to_le_bytes).concat();
        *blake3::hash(&input).as_bytes()
    };
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by_cached_key(|&i| hash(&candidates[i]));
    order.truncate(count);
    order.sort_unstable();
    order
}
