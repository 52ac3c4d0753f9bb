//! Settings that the effects of a sweep suggest.
use serde::Serialize;

use super::Effect;

/// The level at which an effect counts, after correction.
const LEVEL: f64 = 0.05;

/// Settings suggested by the effects of single residuals. They are a hypothesis: test them on other prompts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proposal {
    /// `replay.layers` for strategy `substitute`: the layers whose outputs helped. Empty if only `residual[0]` did.
    pub layers: Vec<usize>,
    /// `replay.learned.inject`: the first residual with at least half of the largest effect.
    pub inject: usize,
}

impl Proposal {
    /// The proposal of the effects of single residuals; `None` if none of them helps beyond chance.
    pub(super) fn of(effects: &[Effect]) -> Option<Self> {
        let helps = |effect: &&Effect| effect.change.mean > 0.0 && effect.p_corrected < LEVEL;
        let helpful: Vec<(usize, f64)> =
            effects.iter().filter(helps).filter_map(|effect| Some((effect.residual?, effect.change.mean))).collect();
        let largest = helpful.iter().map(|(_, change)| *change).fold(0.0, f64::max);
        let inject = helpful.iter().find(|(_, change)| *change >= largest / 2.0)?.0;
        // `residual[j]` is the output of layer j - 1.
        let layers = helpful.iter().filter_map(|(residual, _)| residual.checked_sub(1)).collect();
        Some(Self { layers, inject })
    }
}
