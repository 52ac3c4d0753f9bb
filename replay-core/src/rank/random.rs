//! `keep = "random"`: as many rows as the rule selects, whatever their entropy.

/// Indices of `count` random `candidates`, ascending: those with the lowest hashes of seed, layer and position.
pub(super) fn select(seed: u64, layer: usize, candidates: &[usize], count: usize) -> Vec<usize> {
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
