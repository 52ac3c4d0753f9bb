//! Whether the policies of a configuration, `[replay]` and every profile, can be had of a model.
use replay_core::Replayer;
use replay_core::config::{Config, Positions, Replay};
use serde_json::Value;

use crate::error::AttachError;
use crate::families::Family;

/// The settings of `[replay]` and of every profile.
pub(crate) fn all(config: &Config) -> impl Iterator<Item = &Replay> {
    std::iter::once(&config.replay).chain(config.profiles.values())
}

/// Decoder layers that a policy reaches.
pub(crate) fn needed_layers(replay: &Replay) -> usize {
    replay.layers.highest().map_or(1, |highest| highest + 1)
}

/// What a family cannot do, said with the line of the file, and what would change nothing, as a warning.
pub(crate) fn suits(config: &Config, family: &Family, model: &Value) -> Result<(), AttachError> {
    let named = config.profiles.iter().map(|(name, replay)| (format!("profiles.{name}"), replay));
    let reading =
        family.size(model, "num_hidden_layers").map_or(usize::MAX, |layers| (family.reading_layers)(model, layers));
    for (table, replay) in std::iter::once(("replay".to_owned(), &config.replay)).chain(named) {
        if replay.positions == Positions::Visual && !family.has_visual_rows {
            let why = format!(
                "\"all\", since images have no rows of their own in {}, which attends to them from the side",
                family.architecture
            );
            return Err(config.refuse(&format!("{table}.positions"), &why, None).into());
        }
        if replay.positions == Positions::Visual && needed_layers(replay) > reading {
            tracing::warn!(
                "[{table}] reaches layers from {reading} on, which share keys and values of earlier ones: replaying visual rows there \
                 changes nothing"
            );
        }
    }
    Ok(())
}

/// The policy must fit the models; said with the line of the file.
pub(crate) fn fits(config: &Config, decoder_layers: usize) -> Result<(), AttachError> {
    let named = config.profiles.iter().map(|(name, replay)| (format!("profiles.{name}.layers"), replay));
    for (key, replay) in std::iter::once(("replay.layers".to_owned(), &config.replay)).chain(named) {
        if replay.layers.policy_layers(decoder_layers).is_err() {
            let expected = format!("decoder layers below {decoder_layers}, which is how many the model has");
            return Err(config.refuse(&key, &expected, None).into());
        }
        if let Err(error) = Replayer::new(replay, decoder_layers) {
            return Err(config.refuse(&key, &error.to_string(), None).into());
        }
    }
    Ok(())
}
