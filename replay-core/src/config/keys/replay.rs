//! The table `[replay]` and its cache.

use std::ops::Bound;

use super::super::key::{Fallback, Key};
use super::super::names::{Alignment, OnError, Positions, Preset, Strategy};
use super::super::shape::{Bytes, Choice, Flag, LayerSet, Number};
use super::super::table::Table;

pub(super) const TABLE: Table = Table {
    path: "replay",
    meaning: "What replay does. Replay has no silent default: give `preset`, or `strategy` with `layers` and a rule in \
              `[replay.rank]`. A preset gives a value to every key, and each key in the file overrides it.",
    keys: &[
        &ENABLED,
        &PRESET,
        &STRATEGY,
        &LAYERS,
        &POSITIONS,
        &ALIGNMENT,
        &ON_ERROR,
        &BLEND,
        &MEASURE_KL,
        &LENS_MEMORY,
    ],
};

pub(in crate::config) static ENABLED: Key<Flag> = Key {
    name: "enabled",
    shape: Flag,
    fallback: Fallback::Value("true"),
    meaning: "Whether replay acts at all. Off, the engine runs as if there were no replay.",
};

pub(in crate::config) static PRESET: Key<Choice<'static, Preset>> = Key {
    name: "preset",
    shape: Choice(Preset::NAMED),
    fallback: Fallback::Depends("none"),
    meaning: "A published setting to start from.",
};

pub(in crate::config) static STRATEGY: Key<Choice<'static, Strategy>> = Key {
    name: "strategy",
    shape: Choice(Strategy::NAMED),
    fallback: Fallback::Depends("the preset's; required without a preset"),
    meaning: "How the base's activations are brought back: `substitute` replaces selected hidden states during the \
              prefill, `learned` fits a correction of the visual tokens to each prompt.",
};

pub(in crate::config) static LAYERS: Key<LayerSet> = Key {
    name: "layers",
    shape: LayerSet,
    fallback: Fallback::Depends("the preset's; required without a preset"),
    meaning: "The policy layers: the first so many decoder layers, or a list of layers counted from 0.",
};

pub(in crate::config) static POSITIONS: Key<Choice<'static, Positions>> = Key {
    name: "positions",
    shape: Choice(Positions::NAMED),
    fallback: Fallback::Value("\"visual\""),
    meaning: "Which prompt positions may be ranked and edited. Strategy `learned` edits visual ones only.",
};

pub(in crate::config) static ALIGNMENT: Key<Choice<'static, Alignment>> = Key {
    name: "alignment",
    shape: Choice(Alignment::NAMED),
    fallback: Fallback::Value("\"aligned\""),
    meaning: "`aligned` ranks and edits the same residual; `released` is off by one layer as the authors' code is.",
};

pub(in crate::config) static ON_ERROR: Key<Choice<'static, OnError>> = Key {
    name: "on_error",
    shape: Choice(OnError::NAMED),
    fallback: Fallback::Value("\"fail\""),
    meaning: "When replay fails for a request: `fail` that request, or let it run on the plain model with \
              `passthrough` and say so in its report.",
};

pub(in crate::config) static BLEND: Key<Number> = Key {
    name: "blend",
    shape: Number { what: "a number", low: Bound::Included(0.0), high: Bound::Included(1.0) },
    fallback: Fallback::Value("1.0"),
    meaning: "Only for strategy `substitute`: the share of the base in a substituted row. 1 replaces the row.",
};

pub(in crate::config) static MEASURE_KL: Key<Flag> = Key {
    name: "measure_kl",
    shape: Flag,
    fallback: Fallback::Value("false"),
    meaning: "Also measure KL(base || rlvr) at the selected rows before and after. Costs a clean RLVR pass.",
};

pub(in crate::config) static LENS_MEMORY: Key<Bytes> = Key {
    name: "lens_memory",
    shape: Bytes { least: 1 },
    fallback: Fallback::Value("\"64MiB\""),
    meaning: "Memory that the streamed logit lens may use for one block of rows. Less is slower, never different.",
};

pub(super) const CACHE_TABLE: Table = Table {
    path: "replay.cache",
    meaning: "What is kept of a prompt for later ones.",
    keys: &[&MAX_BYTES, &PREFIX_BYTES],
};

pub(in crate::config) static MAX_BYTES: Key<Bytes> = Key {
    name: "max_bytes",
    shape: Bytes { least: 0 },
    fallback: Fallback::Value("\"512MiB\""),
    meaning: "The most memory for captured and learned activations; 0 keeps none.",
};

pub(in crate::config) static PREFIX_BYTES: Key<Bytes> = Key {
    name: "prefix_bytes",
    shape: Bytes { least: 0 },
    fallback: Fallback::Value("0"),
    meaning: "The most memory for keys and values of prompts and answers, so that the next turn of a chat pays for its own \
              tokens alone; 0 keeps none. An answer may then differ in the last bits, as fewer rows are multiplied at once.",
};
