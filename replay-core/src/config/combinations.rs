//! Settings that are right one by one and impossible together.
//!
//! Each is reported at the key of the file that makes the combination impossible. A setting that was refused, or
//! whose key was probably misspelt, is unknown, and nothing is concluded from it.

use std::ops::Range;

use super::names::{Keep, Positions, Strategy};
use super::rank::{Below, Rule};
use super::read::RawReplay;
use super::reader::{Given, Session, Slot};
use super::replay::Replay;
use super::shape::Mismatch;

/// A rule that the file gives, with its key.
pub(super) type GivenRule = Given<Rule>;

pub(super) fn check(raw: &RawReplay, rules: &[GivenRule], replay: &Replay, session: &mut Session) {
    one_rule(rules, session);
    threshold_per_layer(raw, rules, replay, session);
    certain_rows_from_the_low_end(raw, replay, session);
    seed_of_a_random_mask(raw, replay, session);
    if is_known(&raw.strategy, raw) {
        match replay.strategy {
            Strategy::Learned => {
                no_blend(raw, session);
                visual_positions(raw, replay, session);
                inject_in_front(raw, replay, session);
            }
            Strategy::Substitute => no_learned_settings(raw, session),
        }
    }
}

/// Whether the effective value of a key without a default is known: from the file, or from the preset.
fn is_known<T>(slot: &Slot<T>, raw: &RawReplay) -> bool {
    match slot {
        Slot::Given(_) => true,
        Slot::Refused => false,
        Slot::Absent => raw.inherits || raw.preset.given().is_some(),
    }
}

fn one_rule(rules: &[GivenRule], session: &mut Session) {
    let mut rules: Vec<&GivenRule> = rules.iter().collect();
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

fn threshold_per_layer(raw: &RawReplay, rules: &[GivenRule], replay: &Replay, session: &mut Session) {
    let Rule::Below(Below::PerLayer(thresholds)) = &replay.rank.rule else {
        return;
    };
    let layers = replay.layers.count();
    if rules.len() > 1 || !is_known(&raw.layers, raw) || thresholds.len() == layers {
        return;
    }
    let count = thresholds.len();
    if let Some(below) = raw.rank.below.given() {
        let expected = format!("one threshold per policy layer, which are {layers}");
        let mismatch = Mismatch::new(below.key.clone(), expected, format!("a list of {count}"))
            .hint("a single number holds for every layer");
        session.report("replay.rank.below", mismatch);
    } else if let (Some(given), Some(preset), true) = (raw.layers.given(), raw.preset.value(), raw.rank.gives_no_rule())
    {
        let expected = format!("{count} policy layers, as preset \"{preset}\" has {count} thresholds");
        let mismatch = Mismatch::new(given.key.clone(), expected, layers.to_string())
            .hint("or give `[replay.rank]` a rule of its own");
        session.report("replay.layers", mismatch);
    }
}

fn certain_rows_from_the_low_end(raw: &RawReplay, replay: &Replay, session: &mut Session) {
    if replay.rank.keep != Keep::High || !replay.rank.base_below_rlvr {
        return;
    }
    if let Some(given) = raw.rank.base_below_rlvr.given() {
        let mismatch =
            Mismatch::new(given.key.clone(), "`base_below_rlvr` with `keep = \"low\"` only", "`keep = \"high\"`").hint(
                "remove one of the two: rows the base is unsure about are seldom those it is surer about than RLVR",
            );
        session.report("replay.rank.base_below_rlvr", mismatch);
    } else if let (Some(given), Slot::Absent) = (raw.rank.keep.given(), &raw.rank.base_below_rlvr) {
        let mismatch = Mismatch::new(
            given.key.clone(),
            "`keep = \"low\"`, as the preset sets `base_below_rlvr = true`",
            "`keep = \"high\"`",
        )
        .hint("add `base_below_rlvr = false`");
        session.report("replay.rank.keep", mismatch);
    }
}

fn no_blend(raw: &RawReplay, session: &mut Session) {
    if let Some(blend) = raw.blend.given() {
        let mismatch =
            Mismatch::new(blend.key.clone(), "`blend` with strategy \"substitute\" only", "strategy \"learned\"")
                .hint("remove `blend`: `learned` sets its strength with `learning_rate` in `[replay.learned]`");
        session.report("replay.blend", mismatch);
    }
}

fn visual_positions(raw: &RawReplay, replay: &Replay, session: &mut Session) {
    if replay.positions != Positions::All {
        return;
    }
    let expected = "`positions = \"visual\"` with strategy \"learned\", which corrects visual tokens";
    let report = |key: &Range<usize>, path: &str, session: &mut Session, hint: &str| {
        let mismatch = Mismatch::new(key.clone(), expected, "`positions = \"all\"`").hint(hint);
        session.report(path, mismatch);
    };
    if let Some(given) = raw.positions.given() {
        let hint = "remove `positions`, or use strategy \"substitute\"";
        report(&given.key, "replay.positions", session, hint);
    } else if let (Some(given), Slot::Absent) = (raw.strategy.given(), &raw.positions) {
        let hint = "the preset ranks all positions: add `positions = \"visual\"`";
        report(&given.key, "replay.strategy", session, hint);
    }
}

/// A delta changes only what comes after it.
fn inject_in_front(raw: &RawReplay, replay: &Replay, session: &mut Session) {
    let (Some(inject), Some(lowest)) = (raw.learned.inject.given(), replay.layers.lowest()) else { return };
    let compared = replay.alignment.edited_residual(lowest);
    if !is_known(&raw.layers, raw) || replay.learned.inject <= compared {
        return;
    }
    let expected = format!("at most {compared}, the first residual that is compared");
    let mismatch = Mismatch::new(inject.key.clone(), expected, inject.value.to_string())
        .hint("the policy layers in front of it could not change: leave them out of `layers`");
    session.report("replay.learned.inject", mismatch);
}

fn seed_of_a_random_mask(raw: &RawReplay, replay: &Replay, session: &mut Session) {
    if let (Some(seed), true) = (raw.rank.seed.given(), replay.rank.keep != Keep::Random) {
        let found = format!("`keep = \"{}\"`", replay.rank.keep);
        let mismatch = Mismatch::new(seed.key.clone(), "`seed` with `keep = \"random\"` only", found)
            .hint("remove `seed`, or set `keep = \"random\"`");
        session.report("replay.rank.seed", mismatch);
    }
}

fn no_learned_settings(raw: &RawReplay, session: &mut Session) {
    fn key<T>(slot: &Slot<T>) -> Option<Range<usize>> {
        slot.given().map(|Given { key, .. }| key.clone())
    }
    let learned = &raw.learned;
    let given = [
        ("iterations", key(&learned.iterations)),
        ("learning_rate", key(&learned.learning_rate)),
        ("top_tokens", key(&learned.top_tokens)),
        ("normalize", key(&learned.normalize)),
        ("solver", key(&learned.solver)),
        ("tolerance", key(&learned.tolerance)),
        ("time_budget_ms", key(&learned.time_budget_ms)),
        ("inject", key(&learned.inject)),
        ("activation_memory", key(&learned.activation_memory)),
    ];
    for (name, key) in given {
        let Some(key) = key else { continue };
        let mismatch =
            Mismatch::new(key, "keys of `[replay.learned]` with strategy \"learned\" only", "strategy \"substitute\"")
                .hint("remove the table `[replay.learned]`, or use strategy \"learned\"");
        session.report(&format!("replay.learned.{name}"), mismatch);
    }
}
