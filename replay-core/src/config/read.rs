//! Reading the core's own tables, key by key, before presets and defaults come in.

use std::ops::Range;

use super::host::Host;
use super::keys;
use super::layers::Layers;
use super::names::{Alignment, Keep, OnError, Positions, Preset, Solver, Strategy};
use super::pair::Pair;
use super::rank::Below;
use super::reader::{Given, Session, Slot, TableReader};

/// The table `[replay]` as it stands in the file.
#[derive(Debug)]
pub(super) struct RawReplay {
    /// Where something missing from the table is reported.
    pub(super) at: Range<usize>,
    pub(super) present: bool,
    /// Whether what the table does not say is known from another one.
    pub(super) inherits: bool,
    pub(super) enabled: Slot<bool>,
    pub(super) preset: Slot<Preset>,
    pub(super) strategy: Slot<Strategy>,
    pub(super) layers: Slot<Layers>,
    pub(super) positions: Slot<Positions>,
    pub(super) alignment: Slot<Alignment>,
    pub(super) on_error: Slot<OnError>,
    pub(super) blend: Slot<f64>,
    pub(super) measure_kl: Slot<bool>,
    pub(super) lens_memory: Slot<u64>,
    pub(super) rank: RawRank,
    pub(super) learned: RawLearned,
    pub(super) cache: RawCache,
}

/// The table `[replay.cache]` as it stands in the file.
#[derive(Debug)]
pub(super) struct RawCache {
    pub(super) max_bytes: Slot<u64>,
    pub(super) prefix_bytes: Slot<u64>,
}

/// The table `[replay.rank]` as it stands in the file.
#[derive(Debug)]
pub(super) struct RawRank {
    /// Where something missing from the table is reported.
    pub(super) at: Range<usize>,
    pub(super) present: bool,
    pub(super) fraction_of_max: Slot<f64>,
    pub(super) below: Slot<Below>,
    pub(super) quantile: Slot<f64>,
    pub(super) top: Slot<i64>,
    pub(super) keep: Slot<Keep>,
    pub(super) base_below_rlvr: Slot<bool>,
    pub(super) seed: Slot<i64>,
}

/// The table `[replay.learned]` as it stands in the file.
#[derive(Debug)]
pub(super) struct RawLearned {
    pub(super) iterations: Slot<i64>,
    pub(super) learning_rate: Slot<f64>,
    pub(super) top_tokens: Slot<i64>,
    pub(super) normalize: Slot<bool>,
    pub(super) solver: Slot<Solver>,
    pub(super) tolerance: Slot<f64>,
    pub(super) time_budget_ms: Slot<i64>,
    pub(super) inject: Slot<i64>,
    pub(super) activation_memory: Slot<u64>,
}

impl RawReplay {
    /// Treats keys that were probably meant by a misspelt or misplaced one as given with a wrong value, so that nothing
    /// is concluded from their absence.
    pub(super) fn refuse_suspected(&mut self, session: &Session) {
        let rank = &mut self.rank;
        refuse(&mut self.preset, "replay.preset", session);
        refuse(&mut self.strategy, "replay.strategy", session);
        refuse(&mut self.layers, "replay.layers", session);
        refuse(&mut self.positions, "replay.positions", session);
        refuse(&mut rank.fraction_of_max, "replay.rank.fraction_of_max", session);
        refuse(&mut rank.below, "replay.rank.below", session);
        refuse(&mut rank.quantile, "replay.rank.quantile", session);
        refuse(&mut rank.top, "replay.rank.top", session);
        refuse(&mut rank.keep, "replay.rank.keep", session);
        refuse(&mut rank.base_below_rlvr, "replay.rank.base_below_rlvr", session);
    }
}

impl RawRank {
    /// Whether there is no rule, not even a refused one.
    pub(super) fn gives_no_rule(&self) -> bool {
        self.fraction_of_max.is_absent() && self.below.is_absent() && self.quantile.is_absent() && self.top.is_absent()
    }
}

fn refuse<T>(slot: &mut Slot<T>, path: &str, session: &Session) {
    if slot.is_absent() && session.is_suspected(path) {
        *slot = Slot::Refused;
    }
}

/// The adapter's name; absent or refused, it has been reported.
pub(super) fn adapter(top: &mut TableReader<'_>) -> Slot<String> {
    let adapter = top.key(&keys::ADAPTER).required_slot();
    match adapter.value().map(String::as_str) {
        // The adapter's table could not be told from the core's.
        Some("adapter" | "pair" | "replay" | "profiles") => {
            top.report("adapter", "the name of an engine adapter", None);
            Slot::Refused
        }
        _ => adapter,
    }
}

/// The adapter's name in an engine's own file, whose keys pass.
pub(super) fn adapter_of(top: &mut TableReader<'_>, host: &Host<'_>) -> Slot<String> {
    top.accept(host.keys);
    match top.key(&keys::ADAPTER).slot() {
        Slot::Absent => Slot::Given(Given { value: host.adapter.to_owned(), key: 0..0, span: 0..0 }),
        Slot::Given(name) if name.value != host.adapter => {
            let expected = format!("{:?}, the adapter of this file's engine, or nothing", host.adapter);
            top.report("adapter", &expected, None);
            Slot::Refused
        }
        named => named,
    }
}

pub(super) fn pair(table: &mut TableReader<'_>) -> Pair {
    Pair { rlvr: table.key(&keys::RLVR).required(), base: table.key(&keys::BASE).required() }
}

pub(super) fn replay(table: &mut TableReader<'_>) -> RawReplay {
    RawReplay {
        at: table.at(),
        present: table.is_present(),
        inherits: false,
        enabled: table.key(&keys::ENABLED).slot(),
        preset: table.key(&keys::PRESET).slot(),
        strategy: table.key(&keys::STRATEGY).slot(),
        layers: table.key(&keys::LAYERS).slot(),
        positions: table.key(&keys::POSITIONS).slot(),
        alignment: table.key(&keys::ALIGNMENT).slot(),
        on_error: table.key(&keys::ON_ERROR).slot(),
        blend: table.key(&keys::BLEND).slot(),
        measure_kl: table.key(&keys::MEASURE_KL).slot(),
        lens_memory: table.key(&keys::LENS_MEMORY).slot(),
        rank: table.table_or_empty("rank", rank),
        learned: table.table_or_empty("learned", learned),
        cache: table.table_or_empty("cache", cache),
    }
}

fn cache(table: &mut TableReader<'_>) -> RawCache {
    RawCache { max_bytes: table.key(&keys::MAX_BYTES).slot(), prefix_bytes: table.key(&keys::PREFIX_BYTES).slot() }
}

fn rank(table: &mut TableReader<'_>) -> RawRank {
    RawRank {
        at: table.at(),
        present: table.is_present(),
        fraction_of_max: table.key(&keys::FRACTION_OF_MAX).slot(),
        below: table.key(&keys::BELOW).slot(),
        quantile: table.key(&keys::QUANTILE).slot(),
        top: table.key(&keys::TOP).slot(),
        keep: table.key(&keys::KEEP).slot(),
        base_below_rlvr: table.key(&keys::BASE_BELOW_RLVR).slot(),
        seed: table.key(&keys::SEED).slot(),
    }
}

fn learned(table: &mut TableReader<'_>) -> RawLearned {
    RawLearned {
        iterations: table.key(&keys::ITERATIONS).slot(),
        learning_rate: table.key(&keys::LEARNING_RATE).slot(),
        top_tokens: table.key(&keys::TOP_TOKENS).slot(),
        normalize: table.key(&keys::NORMALIZE).slot(),
        solver: table.key(&keys::SOLVER).slot(),
        tolerance: table.key(&keys::TOLERANCE).slot(),
        time_budget_ms: table.key(&keys::TIME_BUDGET_MS).slot(),
        inject: table.key(&keys::INJECT).slot(),
        activation_memory: table.key(&keys::ACTIVATION_MEMORY).slot(),
    }
}
