//! The identity of a replay configuration: what it does, not how it is written.

use serde_json::{Value, json};

use super::layers::Layers;
use super::names::{Keep, Strategy};
use super::rank::{Below, Rule};
use super::replay::Replay;

/// Raised whenever the meaning of a setting changes, so that old cache entries are not taken for new ones.
const VERSION: u32 = 1;

impl Replay {
    /// A blake3 hash, in hexadecimal, of the settings that can change a result.
    ///
    /// Two configurations that do the same have the same fingerprint, whether they were written by preset or by hand:
    /// the preset's name, comments, and settings without meaning for the strategy are left out, `layers = 2` equals
    /// `layers = [0, 1]`, and one threshold equals a list of equal ones. Left out as well: `on_error`, `measure_kl`,
    /// `lens_memory`, `activation_memory` and the cache, none of which changes what is computed. The models and the adapter's own table
    /// are not part of it; combine it with the fingerprints of the weights.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut settings = json!({
            "version": VERSION,
            "enabled": self.enabled,
            "strategy": self.strategy,
            "layers": layers(&self.layers),
            "positions": self.positions,
            "alignment": self.alignment,
            "rank": {
                self.rank.rule.key(): rule(&self.rank.rule),
                "keep": self.rank.keep,
                "base_below_rlvr": self.rank.base_below_rlvr,
            },
        });
        if self.rank.keep == Keep::Random {
            settings["rank"]["seed"] = json!(self.rank.seed);
        }
        match self.strategy {
            Strategy::Substitute => settings["blend"] = number(self.blend),
            Strategy::Learned => {
                settings["learned"] = json!({
                    "iterations": self.learned.iterations,
                    "learning_rate": number(self.learned.learning_rate),
                    "top_tokens": self.learned.top_tokens,
                    "normalize": self.learned.normalize,
                    "solver": self.learned.solver,
                    "tolerance": number(self.learned.tolerance),
                    "time_budget_ms": self.learned.time_budget_ms,
                    "inject": self.learned.inject,
                });
            }
        }
        // Cargo features of other crates decide whether serde_json keeps the order of insertion.
        settings.sort_all_objects();
        blake3::hash(settings.to_string().as_bytes()).to_hex().to_string()
    }
}

fn layers(layers: &Layers) -> Value {
    match layers {
        Layers::List(list) if !list.iter().copied().eq(0..list.len()) => json!(list),
        Layers::List(_) | Layers::First(_) => json!(layers.count()),
    }
}

fn rule(rule: &Rule) -> Value {
    match rule {
        Rule::FractionOfMax(value) | Rule::Quantile(value) => number(*value),
        Rule::Below(Below::All(threshold)) => number(*threshold),
        Rule::Below(Below::PerLayer(list)) => match list.split_first() {
            Some((first, rest)) if rest.iter().all(|threshold| threshold == first) => number(*first),
            _ => list.iter().copied().map(number).collect(),
        },
        Rule::Top(count) => json!(count),
    }
}

/// Adding zero turns -0.0, which a file may contain, into 0.0.
fn number(value: f64) -> Value {
    json!(value + 0.0)
}
