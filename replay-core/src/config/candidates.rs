//! What a rule selects from: the entropies of one policy layer's candidates.

/// The entropies of one policy layer's candidates, in nats, and which end of them a rule keeps. Every method gives indices of the selected
/// candidates, ascending.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidates<'a> {
    values: &'a [f32],
    policy_layer: usize,
    keep_high: bool,
}

impl<'a> Candidates<'a> {
    /// Finite entropies, in row order. `policy_layer` is the layer's place in the list of policy layers; `keep_high` mirrors every rule.
    pub(crate) fn new(values: &'a [f32], policy_layer: usize, keep_high: bool) -> Self {
        Self { values, policy_layer, keep_high }
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn policy_layer(&self) -> usize {
        self.policy_layer
    }

    pub(crate) fn largest(&self) -> f32 {
        self.values.iter().copied().fold(f32::NEG_INFINITY, f32::max)
    }

    /// Those at most (with `keep = "high"`, at least) at the threshold.
    pub(crate) fn at_most(&self, threshold: f32) -> Vec<usize> {
        self.where_value(|h| if self.keep_high { h >= threshold } else { h <= threshold })
    }

    /// Those below (with `keep = "high"`, above) the threshold.
    pub(crate) fn below(&self, threshold: f32) -> Vec<usize> {
        self.where_value(|h| if self.keep_high { h > threshold } else { h < threshold })
    }

    /// The `count` lowest (with `keep = "high"`, highest). Ties are broken by row order: the earlier row wins.
    pub(crate) fn lowest(&self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.values.len()).collect();
        order.sort_by(|&a, &b| {
            let by_value = self.values[a].total_cmp(&self.values[b]);
            (if self.keep_high { by_value.reverse() } else { by_value }).then(a.cmp(&b))
        });
        order.truncate(count);
        order.sort_unstable();
        order
    }

    fn where_value(&self, keep: impl Fn(f32) -> bool) -> Vec<usize> {
        (0..self.values.len()).filter(|&index| keep(self.values[index])).collect()
    }
}
