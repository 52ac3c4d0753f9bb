//! The table `[replay]`, with the tables inside it.

use std::ops::Bound;

use super::super::key::Fallback;
use super::super::layers::Layers;
use super::super::named_enum::named_enum;
use super::super::shape::{Bytes, Choice, Flag, LayerSet, Number, Optional};
use super::cache::Cache;
use super::gate::Gate;
use super::group::{Group, PartOf};
use super::learned::Learned;
use super::rank::Rank;
use super::rule::Rule;
use super::settings::settings;

settings! {
    table "replay":
        "What replay does. Replay has no silent default: give `preset`, or `strategy` with `layers` and a rule in \
         `[replay.rank]`. A preset gives a value to every key, and each key in the file overrides it.";

    /// The effective settings of replay, after preset, file and defaults have been put together.
    pub struct Replay, read as ReplaySlots {
        /// Whether replay acts at all. Off, the engine runs as if there were no replay.
        enabled: bool {
            shape: Flag,
            fallback: Fallback::Value("true"),
            part_of: PartOf::Both,
        }
        /// A published setting to start from.
        preset: Option<Preset> {
            shape: Optional(Choice(Preset::NAMED)),
            fallback: Fallback::Depends("none"),
            part_of: PartOf::Neither,
            note: "A label only: everything it says has been put into the other fields.",
        }
        /// How the base's activations are brought back: `substitute` replaces selected hidden states during the
        /// prefill, `learned` fits a correction of the visual tokens to each prompt.
        strategy: Strategy {
            shape: Choice(Strategy::NAMED),
            fallback: Fallback::Depends("the preset's; required without a preset"),
            part_of: PartOf::Both,
        }
        /// The policy layers: the first so many decoder layers, or a list of layers counted from 0.
        layers: Layers {
            shape: LayerSet,
            fallback: Fallback::Depends("the preset's; required without a preset"),
            part_of: PartOf::Both,
        }
        /// Which prompt positions may be ranked and edited. Strategy `learned` edits visual ones only.
        positions: Positions {
            shape: Choice(Positions::NAMED),
            fallback: Fallback::Value("\"visual\""),
            part_of: PartOf::Both,
        }
        /// `aligned` ranks and edits the same residual; `released` is off by one layer as the authors' code is.
        alignment: Alignment {
            shape: Choice(Alignment::NAMED),
            fallback: Fallback::Value("\"aligned\""),
            part_of: PartOf::Both,
        }
        /// When replay fails for a request: `fail` that request, or let it run on the plain model with
        /// `passthrough` and say so in its report.
        on_error: OnError {
            shape: Choice(OnError::NAMED),
            fallback: Fallback::Value("\"fail\""),
            part_of: PartOf::Listing,
        }
        /// Only for strategy `substitute`: the share of the base in a substituted row. 1 replaces the row.
        blend: f64 {
            shape: Number { what: "a number", low: Bound::Included(0.0), high: Bound::Included(1.0) },
            fallback: Fallback::Value("1.0"),
            part_of: PartOf::Both,
            when: |replay| replay.strategy == Strategy::Substitute,
            note: "From 0 to 1.",
        }
        /// Also measure KL(base || rlvr) at the selected rows before and after. Costs a clean RLVR pass.
        measure_kl: bool {
            shape: Flag,
            fallback: Fallback::Value("false"),
            part_of: PartOf::Listing,
        }
        /// Memory that the streamed logit lens may use for one block of rows. Less is slower, never different.
        lens_memory: u64 {
            shape: Bytes { min: 1 },
            fallback: Fallback::Value("\"64MiB\""),
            part_of: PartOf::Listing,
            note: "In bytes.",
        }
        tables {
            /// The selection of rows.
            rank: Rank,
            /// Settings of strategy `learned`; without meaning for `substitute`.
            learned: Learned { when: |replay| replay.strategy == Strategy::Learned },
            /// Which prompts are replayed.
            gate: Gate,
            /// What is kept of a prompt for later ones.
            cache: Cache,
        }
    }
}

impl Replay {
    /// Settings with the three values that have no default, and the documented default for everything else.
    #[must_use]
    pub fn new(strategy: Strategy, layers: Layers, rule: Rule) -> Self {
        Self { strategy, layers, rank: Rank { rule, ..Rank::initial() }, ..Self::initial() }
    }
}

impl ReplaySlots {
    /// The preset that the file names.
    pub(in crate::config) fn named_preset(&self) -> Option<Preset> {
        self.preset.value().copied().flatten()
    }
}

named_enum! {
    /// How the base's activations are brought back into the RLVR model.
    pub enum Strategy {
        /// Selected rows of the residual stream are replaced by the base's during the prefill.
        Substitute = "substitute",
        /// A correction of the visual tokens is learned per prompt, by gradient descent on the KL divergence.
        Learned = "learned",
    }
}

named_enum! {
    /// Which prompt positions may be ranked and edited.
    #[derive(Default)]
    pub enum Positions {
        /// Only positions whose token stands for a piece of an image or a video frame.
        #[default]
        Visual = "visual",
        /// Text and visual positions alike.
        All = "all",
    }
}

named_enum! {
    /// Which residual is edited for the entropy that was ranked.
    #[derive(Default)]
    pub enum Alignment {
        /// Rank and edit the same residual; with equal models nothing changes.
        #[default]
        Aligned = "aligned",
        /// Be off by one layer as the authors' released code is.
        Released = "released",
    }
}

impl Alignment {
    /// The residual that policy layer `layer` edits: its output, or, as in the released code, its input.
    pub fn edited_residual(self, layer: usize) -> usize {
        match self {
            Self::Aligned => layer + 1,
            Self::Released => layer,
        }
    }
}

named_enum! {
    /// What happens to a request whose replay fails.
    #[derive(Default)]
    pub enum OnError {
        /// The request fails, alone, with the reason.
        #[default]
        Fail = "fail",
        /// The request runs on the plain RLVR model, and its report says so.
        Passthrough = "passthrough",
    }
}

named_enum! {
    /// A published setting, by name. See [`Preset::source`] for where each comes from.
    pub enum Preset {
        /// Mathematics with MM-Eureka: learned correction, 16 layers.
        PaperMath = "paper-math",
        /// Mathematics with VL-Rethinker: learned correction, 24 layers.
        PaperMath24 = "paper-math-24",
        /// Agents with DeepEyes: substitution, 7 layers, absolute thresholds.
        PaperAgent = "paper-agent",
        /// Video with Video-R1: substitution, 7 layers, absolute thresholds.
        PaperVideo = "paper-video",
    }
}
