//! The effective settings: preset, keys of the file and defaults put together, and the check for missing keys.

use super::combinations;
use super::keys::{Group, Pair, Preset, Replay, ReplaySlots, Rule, Slots, Strategy};
use super::reader::Diagnostics;
use super::shape::{Diagnostic, LayerSet, Shape, alternatives};

/// The pair. A missing model has been reported and is a placeholder here.
pub(super) fn pair(slots: &<Pair as Group>::Slots) -> Pair {
    let mut pair = Pair::initial();
    pair.overlay(slots);
    pair
}

/// The effective settings. After a reported problem the result is a placeholder.
pub(super) fn replay(mut slots: ReplaySlots, diagnostics: &mut Diagnostics) -> Replay {
    slots.refuse_suspected(diagnostics);
    report_missing(&slots, diagnostics);
    let replay = settings(&slots, Replay::initial);
    let from_preset = slots.named_preset().is_some();
    combinations::check(&slots, from_preset, &replay, diagnostics);
    replay
}

/// The effective settings of a profile: those of `[replay]`, or of the profile's own preset, with its keys over them.
/// After a reported problem the result is a placeholder.
pub(super) fn profile(mut slots: ReplaySlots, replay: &Replay, diagnostics: &mut Diagnostics) -> Replay {
    slots.refuse_suspected(diagnostics);
    let profile = settings(&slots, || replay.clone());
    combinations::check(&slots, true, &profile, diagnostics);
    profile
}

/// The settings of the preset, or `default` without a preset, overwritten by the keys of the file.
fn settings(slots: &ReplaySlots, default: impl FnOnce() -> Replay) -> Replay {
    let mut settings = slots.named_preset().map_or_else(default, Preset::settings);
    settings.overlay(slots);
    settings
}

/// Reports required settings that neither a preset nor the file gives. Keys that were given with a wrong value, or
/// probably misspelt, do not count as missing: one mistake is reported once.
fn report_missing(slots: &ReplaySlots, diagnostics: &mut Diagnostics) {
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
        let diagnostic = Diagnostic::new(slots.place().at.clone(), expected, found).hint(hint);
        diagnostics.report_absence("replay", diagnostic);
        return;
    }
    if slots.layers.is_absent() {
        let expected = format!("`layers` ({})", LayerSet.expected());
        let found = absent(slots.place().present, "replay", "nothing");
        let hint = "without a preset, `layers` and a rule in `[replay.rank]` are required; the paper uses 16";
        let diagnostic = Diagnostic::new(slots.place().at.clone(), expected, found).hint(hint);
        diagnostics.report_absence("replay.layers", diagnostic);
    }
    if slots.rank.rule.are_absent() {
        let expected = alternatives(Rule::KEYS.iter().map(|rule| format!("`{}`", rule.name())));
        let found = absent(slots.rank.place().present, "replay.rank", "none of them");
        let hint = "without a preset, `layers` and a rule in `[replay.rank]` are required; the paper uses \
                    `fraction_of_max = 0.4`";
        let diagnostic = Diagnostic::new(slots.rank.place().at.clone(), expected, found).hint(hint);
        diagnostics.report_absence("replay.rank", diagnostic);
    }
}
