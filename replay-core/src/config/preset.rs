//! The published settings.
//!
//! A preset has the published values. For the mathematics presets `alignment` is `aligned`, although the released code
//! is off by one layer there; `alignment = "released"` reproduces that too. The agent and video presets are `released`,
//! since their thresholds were calibrated for that alignment.

use super::below::Below;
use super::keys::{Alignment, Positions, Preset, Replay, Rule, Strategy};
use super::layers::Layers;

/// Thresholds of the released agent and video scripts, in nats, for the outputs of decoder layers 0 to 6
/// (`eval_hr4k.py`, `eval_mmvu.py`, `eval_mlvu.py`: the table `THR`).
const THRESHOLDS: [f64; 7] = [4.812, 4.781, 3.734, 3.297, 3.328, 3.812, 4.312];

impl Preset {
    /// The published configuration and models that this preset reproduces, in one sentence.
    #[must_use]
    pub const fn source(self) -> &'static str {
        match self {
            Self::PaperMath => {
                "Released VLMEvalKit configuration LY016_LP040_LR010_IT025: FanqingM/MM-Eureka-Qwen-7B with base \
                 Qwen/Qwen2.5-VL-7B-Instruct (vlmeval/config.py of Activation Replay, arXiv 2511.19972)."
            }
            Self::PaperMath24 => {
                "Released VLMEvalKit configuration LY024_LP040: TIGER-Lab/VL-Rethinker-7B with base \
                 Qwen/Qwen2.5-VL-7B-Instruct (vlmeval/config.py of Activation Replay, arXiv 2511.19972)."
            }
            Self::PaperAgent => {
                "Released agent script deepeyes/replay_eval/eval_hr4k.py: ChenShawn/DeepEyes-7B with base \
                 Qwen/Qwen2.5-VL-7B-Instruct (Activation Replay, arXiv 2511.19972)."
            }
            Self::PaperVideo => {
                "Released video script video_r1/replay_eval/eval_mmvu.py: Video-R1/Video-R1-7B with base \
                 Qwen/Qwen2.5-VL-7B-Instruct (Activation Replay, arXiv 2511.19972)."
            }
        }
    }

    /// The complete settings of this preset.
    #[must_use]
    pub fn settings(self) -> Replay {
        let mut replay = match self {
            Self::PaperMath => learned(16),
            Self::PaperMath24 => learned(24),
            Self::PaperAgent | Self::PaperVideo => substitute(),
        };
        replay.preset = Some(self);
        replay
    }

    /// Key and value of every setting that has an effect under this preset, for a table.
    #[must_use]
    pub fn describe(self) -> Vec<(&'static str, String)> {
        self.settings().describe()
    }
}

fn learned(layers: usize) -> Replay {
    // The published iterations, learning rate and top tokens are also the defaults of `Learned`.
    Replay::new(Strategy::Learned, Layers::First(layers), Rule::FractionOfMax(0.4))
}

fn substitute() -> Replay {
    let mut replay = Replay::new(
        Strategy::Substitute,
        Layers::First(THRESHOLDS.len()),
        Rule::Below(Below::PerLayer(THRESHOLDS.to_vec())),
    );
    replay.positions = Positions::All;
    replay.alignment = Alignment::Released;
    replay.rank.base_below_rlvr = true;
    replay
}
