//! The arms of a sweep, as profiles of one configuration, so that the pair is loaded once.
use replay_core::Config;
use replay_core::config::{Alignment, Layers, Replay, Rule, Strategy};

use super::super::exit::InputError;

/// The arm with every visual row of every residual.
pub(super) const CEILING: &str = "all residuals";

/// One arm: the base's visual rows at some residuals.
pub(super) struct SweptArm {
    pub(super) name: String,
    /// The residual, if it is a single one.
    pub(super) residual: Option<usize>,
    pub(super) settings: Replay,
}

/// The arms, and the configuration with a profile for each.
pub(super) struct Swept {
    pub(super) all: Vec<SweptArm>,
    pub(super) config: Config,
}

/// The arms of a model with `decoder_layers` layers: each residual of `wanted` (without it: each one), then all of them.
///
/// `residual[decoder_layers]` is left out: its visual rows are read by nothing.
///
/// # Errors
/// If the model has no such residual.
pub(super) fn arms(config: &Config, decoder_layers: usize, wanted: Option<&[usize]>) -> Result<Swept, InputError> {
    let mut residuals: Vec<usize> = wanted.map_or_else(|| (0..decoder_layers).collect(), <[usize]>::to_vec);
    residuals.sort_unstable();
    residuals.dedup();
    if let Some(residual) = residuals.iter().find(|residual| **residual >= decoder_layers) {
        return Err(InputError(format!(
            "--residuals: expected residuals from 0 to {}, as the model has {decoder_layers} decoder layers, got {residual}",
            decoder_layers - 1
        )));
    }
    let one = residuals.iter().map(|&residual| SweptArm {
        name: format!("residual[{residual}]"),
        residual: Some(residual),
        settings: every_row(config, vec![residual]),
    });
    let ceiling =
        SweptArm { name: CEILING.into(), residual: None, settings: every_row(config, (0..decoder_layers).collect()) };
    let all: Vec<SweptArm> = one.chain([ceiling]).collect();
    let mut config = config.clone();
    // Without the prefix cache an answer depends on its prompt and seed only, not on earlier requests.
    config.replay.cache.prefix_bytes = 0;
    config.profiles = all.iter().map(|arm| (arm.name.clone(), arm.settings.clone())).collect();
    Ok(Swept { all, config })
}

/// Substitution of every visual row of these residuals. Alignment `released` edits the input of a policy layer, so that `residual[0]` can
/// be among them; which residual is ranked does not matter if every row is selected.
fn every_row(config: &Config, residuals: Vec<usize>) -> Replay {
    let everything = Rule::FractionOfMax(1.0);
    let mut replay = Replay::new(Strategy::Substitute, Layers::List(residuals), everything);
    replay.alignment = Alignment::Released;
    replay.lens_memory = config.replay.lens_memory;
    replay.cache = config.replay.cache.clone();
    replay.cache.prefix_bytes = 0;
    replay
}
