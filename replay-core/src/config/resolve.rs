//! From what stands in the file to the effective settings: preset, overrides, defaults, and what is still missing.

use super::combinations;
use super::keys::{Group, Pair, Preset, Replay, ReplaySlots, Rule, Slots, Strategy};
use super::reader::Session;
use super::shape::{LayerSet, Mismatch, Shape, alternatives};

/// The pair. A model that is missing has been reported, and a placeholder stands for it.
pub(super) fn pair(slots: &<Pair as Group>::Slots) -> Pair {
    let mut pair = Pair::initial();
    pair.overlay(slots);
    pair
}

/// The effective settings. If anything is wrong it has been reported, and the result is a placeholder.
pub(super) fn replay(mut slots: ReplaySlots, session: &mut Session) -> Replay {
    slots.refuse_suspected(session);
    require(&slots, session);
    let replay = settings(&slots, Replay::initial);
    let from_preset = slots.named_preset().is_some();
    combinations::check(&slots, from_preset, &replay, session);
    replay
}

/// The effective settings of a profile: those of `[replay]`, or of the profile's own preset, with its keys over them.
/// If anything is wrong it has been reported, and the result is a placeholder.
pub(super) fn profile(mut slots: ReplaySlots, replay: &Replay, session: &mut Session) -> Replay {
    slots.refuse_suspected(session);
    let profile = settings(&slots, || replay.clone());
    combinations::check(&slots, true, &profile, session);
    profile
}

/// Puts every key of the file over the preset's value, or over `otherwise` without a preset.
fn settings(slots: &ReplaySlots, otherwise: impl FnOnce() -> Replay) -> Replay {
    let mut settings = slots.named_preset().map_or_else(otherwise, Preset::settings);
    settings.overlay(slots);
    settings
}

/// Reports what neither a preset nor the file says. Keys that were given with a wrong value, or probably misspelt,
/// do not count as missing: that would be a second complaint about one mistake.
fn require(slots: &ReplaySlots, session: &mut Session) {
    if !slots.preset.is_absent() {
        return;
    }
    let absent = |present: bool, table: &str, keys: &str| {
        if present { keys.to_owned() } else { format!("no table `[{table}]`") }
    };
    if slots.strategy.is_absent() {
        let presets = alternatives(Preset::ALL.iter().map(|preset| format!("\"{preset}\"")));
        let strategies = alternatives(Strategy::ALL.iter().map(|name| format!("\"{name}\"")));
        let expected = format!("`preset` ({presets}) or `strategy` ({strategies})");
        let found = absent(slots.place().present, "replay", "neither");
        let hint = "replay has no silent default; `preset = \"paper-math\"` is the paper's main setting";
        let mismatch = Mismatch::new(slots.place().at.clone(), expected, found).hint(hint);
        session.report_absence("replay", mismatch);
        return;
    }
    if slots.layers.is_absent() {
        let expected = format!("`layers` ({})", LayerSet.expected());
        let found = absent(slots.place().present, "replay", "nothing");
        let hint = "without a preset, `layers` and a rule in `[replay.rank]` are required; the paper uses 16";
        let mismatch = Mismatch::new(slots.place().at.clone(), expected, found).hint(hint);
        session.report_absence("replay.layers", mismatch);
    }
    if slots.rank.rule.are_absent() {
        let expected = alternatives(Rule::KEYS.iter().map(|rule| format!("`{}`", rule.name())));
        let found = absent(slots.rank.place().present, "replay.rank", "none of them");
        let hint = "without a preset, `layers` and a rule in `[replay.rank]` are required; the paper uses \
                    `fraction_of_max = 0.4`";
        let mismatch = Mismatch::new(slots.rank.place().at.clone(), expected, found).hint(hint);
        session.report_absence("replay.rank", mismatch);
    }
}
