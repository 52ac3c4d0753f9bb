//! Settings that are valid one by one and contradict each other.
//!
//! Each contradiction is reported at a key of the file. A setting whose value was refused, or whose key was probably
//! misspelt, is unknown and contradicts nothing.

use std::ops::Range;

use super::below::Below;
use super::keys::{Alignment, Keep, Loss, Positions, Replay, ReplaySlots, Rule, Slots, Strategy};
use super::reader::{Diagnostics, Slot};
use super::shape::Diagnostic;

/// Checks the effective settings `replay` of a table. `inherits`: whether a preset or another table gives the values
/// of the keys that this table leaves out.
pub(super) fn check(slots: &ReplaySlots, inherits: bool, replay: &Replay, diagnostics: &mut Diagnostics) {
    check_single_rule(slots, diagnostics);
    if is_known(&slots.layers, inherits) {
        check_threshold_count(slots, replay, diagnostics);
    }
    check_base_below_rlvr(slots, replay, diagnostics);
    check_seed(slots, replay, diagnostics);
    check_gate(slots, replay, is_known(&slots.layers, inherits), diagnostics);
    if is_known(&slots.strategy, inherits) {
        match replay.strategy {
            Strategy::Learned => {
                reject_blend(slots, diagnostics);
                check_positions(slots, replay, diagnostics);
                check_loss(slots, replay, diagnostics);
                if is_known(&slots.layers, inherits) {
                    check_inject(slots, replay, diagnostics);
                }
            }
            Strategy::Substitute => reject_learned_settings(slots, diagnostics),
        }
    }
}

/// Whether the effective value of a key without a default is known: from the file, or inherited.
fn is_known<T>(slot: &Slot<T>, inherits: bool) -> bool {
    match slot {
        Slot::Given(_) => true,
        Slot::Refused => false,
        Slot::Absent => inherits,
    }
}

fn check_single_rule(slots: &ReplaySlots, diagnostics: &mut Diagnostics) {
    let mut rules = slots.rank.rule.rules();
    rules.sort_by_key(|rule| rule.key.start);
    let Some((first, others)) = rules.split_first() else {
        return;
    };
    let first = first.value.key();
    for rule in others {
        let key = rule.value.key();
        let found = format!("`{key}` next to `{first}`");
        let diagnostic = Diagnostic::new(rule.key.clone(), "one rule in `[replay.rank]`", found)
            .hint(format!("keep either `{first}` or `{key}`"));
        diagnostics.report(&format!("replay.rank.{key}"), diagnostic);
    }
}

fn check_threshold_count(slots: &ReplaySlots, replay: &Replay, diagnostics: &mut Diagnostics) {
    let Rule::Below(Below::PerLayer(thresholds)) = &replay.rank.rule else {
        return;
    };
    let layers = replay.layers.count();
    if slots.rank.rule.rules().len() > 1 || thresholds.len() == layers {
        return;
    }
    let count = thresholds.len();
    if let Some(below) = slots.rank.rule.below.given() {
        let expected = format!("one threshold per policy layer, which are {layers}");
        let diagnostic = Diagnostic::new(below.key.clone(), expected, format!("a list of {count}"))
            .hint("a single number holds for every layer");
        diagnostics.report("replay.rank.below", diagnostic);
    } else if let (Some(given), Some(preset), true) =
        (slots.layers.given(), slots.named_preset(), slots.rank.rule.are_absent())
    {
        let expected = format!("{count} policy layers, as preset \"{preset}\" has {count} thresholds");
        let diagnostic = Diagnostic::new(given.key.clone(), expected, layers.to_string())
            .hint("or give `[replay.rank]` a rule of its own");
        diagnostics.report("replay.layers", diagnostic);
    }
}

fn check_base_below_rlvr(slots: &ReplaySlots, replay: &Replay, diagnostics: &mut Diagnostics) {
    if replay.rank.keep != Keep::High || !replay.rank.base_below_rlvr {
        return;
    }
    if let Some(given) = slots.rank.base_below_rlvr.given() {
        let diagnostic =
            Diagnostic::new(given.key.clone(), "`base_below_rlvr` with `keep = \"low\"` only", "`keep = \"high\"`")
                .hint(
                    "remove one of the two: rows the base is unsure about are seldom those it is surer about than RLVR",
                );
        diagnostics.report("replay.rank.base_below_rlvr", diagnostic);
    } else if let (Some(given), Slot::Absent) = (slots.rank.keep.given(), &slots.rank.base_below_rlvr) {
        let diagnostic = Diagnostic::new(
            given.key.clone(),
            "`keep = \"low\"`, as the preset sets `base_below_rlvr = true`",
            "`keep = \"high\"`",
        )
        .hint("add `base_below_rlvr = false`");
        diagnostics.report("replay.rank.keep", diagnostic);
    }
}

fn reject_blend(slots: &ReplaySlots, diagnostics: &mut Diagnostics) {
    if let Some(blend) = slots.blend.given() {
        let diagnostic =
            Diagnostic::new(blend.key.clone(), "`blend` with strategy \"substitute\" only", "strategy \"learned\"")
                .hint("remove `blend`: `learned` sets its strength with `learning_rate` in `[replay.learned]`");
        diagnostics.report("replay.blend", diagnostic);
    }
}

fn check_positions(slots: &ReplaySlots, replay: &Replay, diagnostics: &mut Diagnostics) {
    if replay.positions != Positions::All {
        return;
    }
    let expected = "`positions = \"visual\"` with strategy \"learned\", which corrects visual tokens";
    let report = |key: &Range<usize>, path: &str, diagnostics: &mut Diagnostics, hint: &str| {
        let diagnostic = Diagnostic::new(key.clone(), expected, "`positions = \"all\"`").hint(hint);
        diagnostics.report(path, diagnostic);
    };
    if let Some(given) = slots.positions.given() {
        let hint = "remove `positions`, or use strategy \"substitute\"";
        report(&given.key, "replay.positions", diagnostics, hint);
    } else if let (Some(given), Slot::Absent) = (slots.strategy.given(), &slots.positions) {
        let hint = "the preset ranks all positions: add `positions = \"visual\"`";
        report(&given.key, "replay.strategy", diagnostics, hint);
    }
}

/// A delta changes only the residuals after the one it is added to, so no residual before that one can be compared.
fn check_inject(slots: &ReplaySlots, replay: &Replay, diagnostics: &mut Diagnostics) {
    let (Some(inject), Some(lowest)) = (slots.learned.inject.given(), replay.layers.lowest()) else { return };
    let compared = replay.alignment.edited_residual(lowest);
    if replay.learned.inject <= compared {
        return;
    }
    let expected = format!("at most {compared}, the first residual that is compared");
    let diagnostic = Diagnostic::new(inject.key.clone(), expected, inject.value.to_string())
        .hint("the policy layers in front of it could not change: leave them out of `layers`");
    diagnostics.report("replay.learned.inject", diagnostic);
}

/// Hidden states of different residuals have no distance that means anything, and no vocabulary.
fn check_loss(slots: &ReplaySlots, replay: &Replay, diagnostics: &mut Diagnostics) {
    let learned = &slots.learned;
    if replay.learned.loss != Loss::Residual {
        return;
    }
    if let Some(top_tokens) = learned.top_tokens.given() {
        let diagnostic = Diagnostic::new(
            top_tokens.key.clone(),
            "`top_tokens` with `loss = \"lens\"` only",
            "`loss = \"residual\"`",
        )
        .hint("remove `top_tokens`: the distance of hidden states has no vocabulary");
        diagnostics.report("replay.learned.top_tokens", diagnostic);
    }
    if replay.alignment == Alignment::Released {
        let expected = "`alignment = \"aligned\"` with `loss = \"residual\"`";
        let (key, path) = match (slots.alignment.given(), learned.loss.given()) {
            (Some(alignment), _) => (alignment.key.clone(), "replay.alignment"),
            (None, Some(loss)) => (loss.key.clone(), "replay.learned.loss"),
            (None, None) => return,
        };
        let diagnostic = Diagnostic::new(key, expected, "`alignment = \"released\"`")
            .hint("hidden states of different layers cannot be compared: use aligned layers, or the loss of the lens");
        diagnostics.report(path, diagnostic);
    }
}

/// A gate compares the models at a residual that the policy's passes reach.
fn check_gate(slots: &ReplaySlots, replay: &Replay, layers_known: bool, diagnostics: &mut Diagnostics) {
    let Some(residual) = slots.gate.residual.given() else { return };
    if replay.gate.drift_below.is_none() {
        let expected = "`residual` with `drift_below` only";
        let diagnostic = Diagnostic::new(residual.key.clone(), expected, "no `drift_below`")
            .hint("add `drift_below`, or remove `residual`: without a threshold there is no gate");
        diagnostics.report("replay.gate.residual", diagnostic);
        return;
    }
    let (Some(given), Some(highest)) = (residual.value, replay.layers.highest()) else { return };
    if layers_known && given > highest + 1 {
        let expected = format!("at most {}, the output of the last policy layer", highest + 1);
        let diagnostic = Diagnostic::new(residual.key.clone(), expected, given.to_string())
            .hint("the base is loaded up to the last policy layer only");
        diagnostics.report("replay.gate.residual", diagnostic);
    }
}

fn check_seed(slots: &ReplaySlots, replay: &Replay, diagnostics: &mut Diagnostics) {
    if let (Some(seed), true) = (slots.rank.seed.given(), replay.rank.keep != Keep::Random) {
        let found = format!("`keep = \"{}\"`", replay.rank.keep);
        let diagnostic = Diagnostic::new(seed.key.clone(), "`seed` with `keep = \"random\"` only", found)
            .hint("remove `seed`, or set `keep = \"random\"`");
        diagnostics.report("replay.rank.seed", diagnostic);
    }
}

fn reject_learned_settings(slots: &ReplaySlots, diagnostics: &mut Diagnostics) {
    for (path, key) in slots.learned.given() {
        let diagnostic = Diagnostic::new(
            key,
            "keys of `[replay.learned]` with strategy \"learned\" only",
            "strategy \"substitute\"",
        )
        .hint("remove the table `[replay.learned]`, or use strategy \"learned\"");
        diagnostics.report(path, diagnostic);
    }
}
