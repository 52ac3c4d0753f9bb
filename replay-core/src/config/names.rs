//! The settings that are a choice between names.
//!
//! One macro ties each variant to its name in the file, in JSON and in messages, so that the three cannot drift apart.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Declares an enum whose variants are chosen by name in the file.
macro_rules! named_enum {
    (
        $(#[$attribute:meta])*
        pub enum $name:ident {
            $($(#[$variant_attribute:meta])* $variant:ident = $text:literal,)+
        }
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum $name {
            $($(#[$variant_attribute])* #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// Every value, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Name and value, for the reader of the file.
            pub(super) const NAMED: &'static [(&'static str, Self)] =
                &[$(($text, Self::$variant),)+];

            /// The name in the file.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }
    };
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
    /// How a delta is found.
    #[derive(Default)]
    pub enum Solver {
        /// Plain gradient descent: the paper's.
        #[default]
        GradientDescent = "gradient-descent",
        /// L-BFGS with a backtracking line search: the same loss in a fraction of the passes.
        Lbfgs = "lbfgs",
    }
}

named_enum! {
    /// Which end of the entropy ranking is selected.
    #[derive(Default)]
    pub enum Keep {
        /// The rows the base is most certain about: the paper's method.
        #[default]
        Low = "low",
        /// The rows the base is least certain about: the paper's control, which hurts.
        High = "high",
        /// As many rows as `low` would select, chosen at random (by `seed`): a control.
        Random = "random",
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
