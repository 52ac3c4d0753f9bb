//! `keep = "random"`: as many rows as the rule selects, whatever their entropy.
use crate::rows::PromptMap;

/// The seed for one prompt: prompts with other images have other random rows.
pub(crate) fn seed_of(seed: u64, prompt: &PromptMap) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    prompt.images().iter().for_each(|image| {
        hasher.update(image.content.as_bytes());
    });
    u64::from_le_bytes(std::array::from_fn(|i| hasher.finalize().as_bytes()[i]))
}

/// Indices of `count` random `candidates`, ascending: those with the lowest hashes of seed and position.
///
/// The order is the same at every layer, as the low-entropy rows of one layer are mostly those of the next: other rows at each layer would
/// touch far more rows of the prompt, and would not be a control of equal size.
pub(super) fn select(seed: u64, candidates: &[usize], count: usize) -> Vec<usize> {
    let hash = |&position: &usize| {
        let input = [seed, position as u64].map(u64::to_le_bytes).concat();
        *blake3::hash(&input).as_bytes()
    };
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by_cached_key(|&i| hash(&candidates[i]));
    order.truncate(count);
    order.sort_unstable();
    order
}
