//! Settings that are right one by one and impossible together.
//!
//! Each is reported at the key of the file that makes the combination impossible. A setting that was refused, or
//! whose key was probably misspelt, is unknown, and nothing is concluded from it.

use std::ops::Range;

use super::below::Below;
use super::keys::{Keep, Positions, Replay, ReplaySlots, Rule, Slots, Strategy};
use super::reader::{Session, Slot};
use super::shape::Mismatch;

/// Checks the effective settings `replay` of a table. `inherits` says whether what the table does not say is known from
/// a preset or from another table.
pub(super) fn check(slots: &ReplaySlots, inherits: bool, replay: &Replay, session: &mut Session) {
    one_rule(slots, session);
    if is_known(&slots.layers, inherits) {
        threshold_per_layer(slots, replay, session);
    }
    certain_rows_from_the_low_end(slots, replay, session);
    seed_of_a_random_mask(slots, replay, session);
    if is_known(&slots.strategy, inherits) {
        match replay.strategy {
            Strategy::Learned => {
                no_blend(slots, session);
                visual_positions(slots, replay, session);
                if is_known(&slots.layers, inherits) {
                    inject_in_front(slots, replay, session);
                }
            }
            Strategy::Substitute => no_learned_settings(slots, session),
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

fn one_rule(slots: &ReplaySlots, session: &mut Session) {
    let mut rules = slots.rank.rule.rules();
    rules.sort_by_key(|rule| rule.key.start);
    let Some((first, others)) = rules.split_first() else {
        return;
    };
    let first = first.value.key();
    for rule in others {
        let key = rule.value.key();
        let found = format!("`{key}` next to `{first}`");
        let mismatch = Mismatch::new(rule.key.clone(), "one rule in `[replay.rank]`", found)
            .hint(format!("keep either `{first}` or `{key}`"));
        session.report(&format!("replay.rank.{key}"), mismatch);
    }
}

fn threshold_per_layer(slots: &ReplaySlots, replay: &Replay, session: &mut Session) {
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
        let mismatch = Mismatch::new(below.key.clone(), expected, format!("a list of {count}"))
            .hint("a single number holds for every layer");
        session.report("replay.rank.below", mismatch);
    } else if let (Some(given), Some(preset), true) =
        (slots.layers.given(), slots.named_preset(), slots.rank.rule.are_absent())
    {
        let expected = format!("{count} policy layers, as preset \"{preset}\" has {count} thresholds");
        let mismatch = Mismatch::new(given.key.clone(), expected, layers.to_string())
            .hint("or give `[replay.rank]` a rule of its own");
        session.report("replay.layers", mismatch);
    }
}

fn certain_rows_from_the_low_end(slots: &ReplaySlots, replay: &Replay, session: &mut Session) {
    if replay.rank.keep != Keep::High || !replay.rank.base_below_rlvr {
        return;
    }
    if let Some(given) = slots.rank.base_below_rlvr.given() {
        let mismatch =
            Mismatch::new(given.key.clone(), "`base_below_rlvr` with `keep = \"low\"` only", "`keep = \"high\"`").hint(
                "remove one of the two: rows the base is unsure about are seldom those it is surer about than RLVR",
            );
        session.report("replay.rank.base_below_rlvr", mismatch);
    } else if let (Some(given), Slot::Absent) = (slots.rank.keep.given(), &slots.rank.base_below_rlvr) {
        let mismatch = Mismatch::new(
            given.key.clone(),
            "`keep = \"low\"`, as the preset sets `base_below_rlvr = true`",
            "`keep = \"high\"`",
        )
        .hint("add `base_below_rlvr = false`");
        session.report("replay.rank.keep", mismatch);
    }
}

fn no_blend(slots: &ReplaySlots, session: &mut Session) {
    if let Some(blend) = slots.blend.given() {
        let mismatch =
            Mismatch::new(blend.key.clone(), "`blend` with strategy \"substitute\" only", "strategy \"learned\"")
                .hint("remove `blend`: `learned` sets its strength with `learning_rate` in `[replay.learned]`");
        session.report("replay.blend", mismatch);
    }
}

fn visual_positions(slots: &ReplaySlots, replay: &Replay, session: &mut Session) {
    if replay.positions != Positions::All {
        return;
    }
    let expected = "`positions = \"visual\"` with strategy \"learned\", which corrects visual tokens";
    let report = |key: &Range<usize>, path: &str, session: &mut Session, hint: &str| {
        let mismatch = Mismatch::new(key.clone(), expected, "`positions = \"all\"`").hint(hint);
        session.report(path, mismatch);
    };
    if let Some(given) = slots.positions.given() {
        let hint = "remove `positions`, or use strategy \"substitute\"";
        report(&given.key, "replay.positions", session, hint);
    } else if let (Some(given), Slot::Absent) = (slots.strategy.given(), &slots.positions) {
        let hint = "the preset ranks all positions: add `positions = \"visual\"`";
        report(&given.key, "replay.strategy", session, hint);
    }
}

/// A delta changes only what comes after it.
fn inject_in_front(slots: &ReplaySlots, replay: &Replay, session: &mut Session) {
    let (Some(inject), Some(lowest)) = (slots.learned.inject.given(), replay.layers.lowest()) else { return };
    let compared = replay.alignment.edited_residual(lowest);
    if replay.learned.inject <= compared {
        return;
    }
    let expected = format!("at most {compared}, the first residual that is compared");
    let mismatch = Mismatch::new(inject.key.clone(), expected, inject.value.to_string())
        .hint("the policy layers in front of it could not change: leave them out of `layers`");
    session.report("replay.learned.inject", mismatch);
}

fn seed_of_a_random_mask(slots: &ReplaySlots, replay: &Replay, session: &mut Session) {
    if let (Some(seed), true) = (slots.rank.seed.given(), replay.rank.keep != Keep::Random) {
        let found = format!("`keep = \"{}\"`", replay.rank.keep);
        let mismatch = Mismatch::new(seed.key.clone(), "`seed` with `keep = \"random\"` only", found)
            .hint("remove `seed`, or set `keep = \"random\"`");
        session.report("replay.rank.seed", mismatch);
    }
}

fn no_learned_settings(slots: &ReplaySlots, session: &mut Session) {
    for (path, key) in slots.learned.given() {
        let mismatch =
            Mismatch::new(key, "keys of `[replay.learned]` with strategy \"learned\" only", "strategy \"substitute\"")
                .hint("remove the table `[replay.learned]`, or use strategy \"learned\"");
        session.report(path, mismatch);
    }
}
