//! From what stands in the file to the effective settings: preset, overrides, defaults, and what is still missing.

use super::combinations::{self, GivenRule};
use super::key::Described;
use super::keys;
use super::layers::Layers;
use super::names::{Preset, Strategy};
use super::rank::Rule;
use super::read::RawReplay;
use super::reader::{Session, Slot};
use super::replay::Replay;
use super::shape::{Mismatch, alternatives};

/// The effective settings. If anything is wrong it has been reported, and the result is a placeholder.
pub(super) fn resolve(mut raw: RawReplay, session: &mut Session) -> Replay {
    raw.refuse_suspected(session);
    let raw = &raw;
    let rules = rules(raw);
    require(raw, session);
    let mut replay = match raw.preset.value() {
        Some(preset) => preset.settings(),
        None => Replay::new(Strategy::Substitute, Layers::First(1), Rule::Top(1)),
    };
    overlay(raw, &rules, &mut replay);
    combinations::check(raw, &rules, &replay, session);
    replay
}

/// The effective settings of a profile: those of `[replay]`, or of the profile's own preset, with its keys over them. If anything is
/// wrong it has been reported, and the result is a placeholder.
pub(super) fn profile(mut raw: RawReplay, replay: &Replay, session: &mut Session) -> Replay {
    raw.refuse_suspected(session);
    raw.inherits = true;
    let rules = rules(&raw);
    let mut profile = raw.preset.value().map_or_else(|| replay.clone(), |preset| preset.settings());
    overlay(&raw, &rules, &mut profile);
    combinations::check(&raw, &rules, &profile, session);
    profile
}

/// The rules that the file gives, in the order of the documentation.
fn rules(raw: &RawReplay) -> Vec<GivenRule> {
    let rank = &raw.rank;
    let rules = [
        rank.fraction_of_max.clone().map(Rule::FractionOfMax),
        rank.below.clone().map(Rule::Below),
        rank.quantile.clone().map(Rule::Quantile),
        rank.top.clone().map(|count| Rule::Top(index(count))),
    ];
    rules
        .into_iter()
        .filter_map(|rule| match rule {
            Slot::Given(given) => Some(given),
            Slot::Absent | Slot::Refused => None,
        })
        .collect()
}

/// Reports what neither a preset nor the file says. Keys that were given with a wrong value, or probably misspelt,
/// do not count as missing: that would be a second complaint about one mistake.
fn require(raw: &RawReplay, session: &mut Session) {
    if !raw.preset.is_absent() {
        return;
    }
    let absent = |present: bool, table: &str, keys: &str| {
        if present { keys.to_owned() } else { format!("no table `[{table}]`") }
    };
    if raw.strategy.is_absent() {
        let presets = alternatives(Preset::ALL.iter().map(|preset| format!("\"{preset}\"")));
        let strategies = alternatives(Strategy::ALL.iter().map(|name| format!("\"{name}\"")));
        let expected = format!("`preset` ({presets}) or `strategy` ({strategies})");
        let found = absent(raw.present, "replay", "neither");
        let hint = "replay has no silent default; `preset = \"paper-math\"` is the paper's main setting";
        let mismatch = Mismatch::new(raw.at.clone(), expected, found).hint(hint);
        session.report_absence("replay", mismatch);
        return;
    }
    if raw.layers.is_absent() {
        let expected = format!("`layers` ({})", Described::expected(&keys::LAYERS));
        let found = absent(raw.present, "replay", "nothing");
        let hint = "without a preset, `layers` and a rule in `[replay.rank]` are required; the paper uses 16";
        let mismatch = Mismatch::new(raw.at.clone(), expected, found).hint(hint);
        session.report_absence("replay.layers", mismatch);
    }
    if raw.rank.gives_no_rule() {
        let expected = alternatives(["fraction_of_max", "below", "quantile", "top"].map(|rule| format!("`{rule}`")));
        let found = absent(raw.rank.present, "replay.rank", "none of them");
        let hint = "without a preset, `layers` and a rule in `[replay.rank]` are required; the paper uses \
                    `fraction_of_max = 0.4`";
        let mismatch = Mismatch::new(raw.rank.at.clone(), expected, found).hint(hint);
        session.report_absence("replay.rank", mismatch);
    }
}

/// Puts every key of the file over the preset's value or the default.
fn overlay(raw: &RawReplay, rules: &[GivenRule], replay: &mut Replay) {
    put(&raw.enabled, &mut replay.enabled);
    put(&raw.strategy, &mut replay.strategy);
    put(&raw.layers, &mut replay.layers);
    put(&raw.positions, &mut replay.positions);
    put(&raw.alignment, &mut replay.alignment);
    put(&raw.on_error, &mut replay.on_error);
    put(&raw.blend, &mut replay.blend);
    put(&raw.measure_kl, &mut replay.measure_kl);
    put(&raw.lens_memory, &mut replay.lens_memory);
    if let Some(rule) = rules.first() {
        replay.rank.rule = rule.value.clone();
    }
    put(&raw.rank.keep, &mut replay.rank.keep);
    put(&raw.rank.base_below_rlvr, &mut replay.rank.base_below_rlvr);
    put(&raw.rank.seed.clone().map(i64::unsigned_abs), &mut replay.rank.seed);
    let learned = &mut replay.learned;
    let iterations = raw.learned.iterations.clone();
    put(&iterations.map(|count| u32::try_from(count).unwrap_or(u32::MAX)), &mut learned.iterations);
    put(&raw.learned.learning_rate, &mut learned.learning_rate);
    put(&raw.learned.top_tokens.clone().map(index), &mut learned.top_tokens);
    put(&raw.learned.normalize, &mut learned.normalize);
    put(&raw.learned.solver, &mut learned.solver);
    put(&raw.learned.tolerance, &mut learned.tolerance);
    put(&raw.learned.time_budget_ms.clone().map(i64::unsigned_abs), &mut learned.time_budget_ms);
    put(&raw.learned.inject.clone().map(index), &mut learned.inject);
    put(&raw.learned.activation_memory, &mut learned.activation_memory);
    put(&raw.cache.max_bytes, &mut replay.cache.max_bytes);
    put(&raw.cache.prefix_bytes, &mut replay.cache.prefix_bytes);
}

fn put<T: Clone>(slot: &Slot<T>, setting: &mut T) {
    if let Some(value) = slot.value() {
        *setting = value.clone();
    }
}

/// Counts are at least one and were read as such; on a 32-bit machine a larger count means "all".
fn index(count: i64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
