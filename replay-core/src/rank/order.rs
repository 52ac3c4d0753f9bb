//! Selection by rank.

/// Indices of the `count` lowest (or highest) values, ascending by index. Ties are broken by row order: the earlier row wins.
pub(super) fn first(values: &[f32], count: usize, highest: bool) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| {
        let by_value = values[a].total_cmp(&values[b]);
        (if highest { by_value.reverse() } else { by_value }).then(a.cmp(&b))
    });
    order.truncate(count);
    order.sort_unstable();
    order
}
