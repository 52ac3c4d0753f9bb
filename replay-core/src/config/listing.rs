//! The effective settings as rows of a table, under the names of the file.

use super::layers::Layers;
use super::names::Strategy;
use super::rank::{Below, Rule};
use super::replay::Replay;

impl Replay {
    /// Key and value of every setting that matters under this strategy, in the order of the file.
    ///
    /// Values are written as TOML, so that a row can be copied into a file.
    #[must_use]
    pub fn describe(&self) -> Vec<(&'static str, String)> {
        let quoted = |name: &str| format!("\"{name}\"");
        let mut rows = vec![
            ("replay.enabled", self.enabled.to_string()),
            ("replay.strategy", quoted(self.strategy.name())),
            ("replay.layers", layers(&self.layers)),
            ("replay.positions", quoted(self.positions.name())),
            ("replay.alignment", quoted(self.alignment.name())),
            ("replay.on_error", quoted(self.on_error.name())),
        ];
        if self.strategy == Strategy::Substitute {
            rows.push(("replay.blend", format!("{:?}", self.blend)));
        }
        rows.extend([
            ("replay.measure_kl", self.measure_kl.to_string()),
            ("replay.lens_memory", size(self.lens_memory)),
            rule(&self.rank.rule),
            ("replay.rank.keep", quoted(self.rank.keep.name())),
            ("replay.rank.base_below_rlvr", self.rank.base_below_rlvr.to_string()),
        ]);
        if self.strategy == Strategy::Learned {
            let learned = &self.learned;
            rows.extend([
                ("replay.learned.iterations", learned.iterations.to_string()),
                ("replay.learned.learning_rate", format!("{:?}", learned.learning_rate)),
                ("replay.learned.top_tokens", learned.top_tokens.to_string()),
                ("replay.learned.normalize", learned.normalize.to_string()),
                ("replay.learned.solver", quoted(learned.solver.name())),
                ("replay.learned.tolerance", format!("{:?}", learned.tolerance)),
                ("replay.learned.time_budget_ms", learned.time_budget_ms.to_string()),
                ("replay.learned.inject", learned.inject.to_string()),
                ("replay.learned.activation_memory", size(learned.activation_memory)),
            ]);
        }
        rows.push(("replay.cache.max_bytes", size(self.cache.max_bytes)));
        rows.push(("replay.cache.prefix_bytes", size(self.cache.prefix_bytes)));
        rows
    }
}

/// The largest unit that needs no fraction, or plain bytes.
fn size(bytes: u64) -> String {
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.iter().find(|(_, unit)| bytes != 0 && bytes.is_multiple_of(*unit)) {
        Some((name, unit)) => format!("\"{}{name}\"", bytes / unit),
        None => bytes.to_string(),
    }
}

fn layers(layers: &Layers) -> String {
    match layers {
        Layers::First(count) => count.to_string(),
        Layers::List(list) => format!("{list:?}"),
    }
}

fn rule(rule: &Rule) -> (&'static str, String) {
    match rule {
        Rule::FractionOfMax(fraction) => ("replay.rank.fraction_of_max", format!("{fraction:?}")),
        Rule::Below(Below::All(threshold)) => ("replay.rank.below", format!("{threshold:?}")),
        Rule::Below(Below::PerLayer(list)) => ("replay.rank.below", format!("{list:?}")),
        Rule::Quantile(share) => ("replay.rank.quantile", format!("{share:?}")),
        Rule::Top(count) => ("replay.rank.top", count.to_string()),
    }
}
