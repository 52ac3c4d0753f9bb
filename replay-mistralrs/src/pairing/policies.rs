//! Checks the policies of a configuration, those of `[replay]` and of every profile, against a model.
use replay_core::Replayer;
use replay_core::config::{Config, Positions, Replay};
use serde_json::Value;

use crate::error::AttachError;
use crate::families::Family;

/// The settings of `[replay]` and of every profile.
pub(crate) fn all_policies(config: &Config) -> impl Iterator<Item = &Replay> {
    std::iter::once(&config.replay).chain(config.profiles.values())
}

/// The number of first decoder layers that a policy needs.
pub(crate) fn needed_layers(replay: &Replay) -> usize {
    replay.layers.highest().map_or(1, |highest| highest + 1)
}

/// Checks that the family supports every policy, and warns of policies that change nothing.
///
/// # Errors
/// If a policy ranks visual rows and the family has none, with the line of the file.
pub(crate) fn check_family(config: &Config, family: &Family, model: &Value) -> Result<(), AttachError> {
    let named = config.profiles.iter().map(|(name, replay)| (format!("profiles.{name}"), replay));
    let own_keys_values =
        family.size(model, "num_hidden_layers").map_or(usize::MAX, |layers| (family.reading_layers)(model, layers));
    for (table, replay) in std::iter::once(("replay".to_owned(), &config.replay)).chain(named) {
        if replay.positions == Positions::Visual && !family.has_visual_rows {
            let why = format!(
                "\"all\", because images have no rows in {}, which reads them through cross-attention",
                family.architecture
            );
            return Err(config.refuse(&format!("{table}.positions"), &why, None).into());
        }
        if replay.positions == Positions::Visual && needed_layers(replay) > own_keys_values {
            tracing::warn!(
                "[{table}] reaches layers from {own_keys_values} on, which reuse keys and values of earlier layers: replaying visual rows there \
                 changes nothing"
            );
        }
    }
    Ok(())
}

/// Checks every policy against the number of decoder layers.
///
/// # Errors
/// If a policy does not fit, with the line of the file.
pub(crate) fn check_layers(config: &Config, decoder_layers: usize) -> Result<(), AttachError> {
    let named = config.profiles.iter().map(|(name, replay)| (format!("profiles.{name}.layers"), replay));
    for (key, replay) in std::iter::once(("replay.layers".to_owned(), &config.replay)).chain(named) {
        if replay.layers.policy_layers(decoder_layers).is_err() {
            let expected = format!("decoder layers below {decoder_layers}, the number of layers of the model");
            return Err(config.refuse(&key, &expected, None).into());
        }
        if let Err(error) = Replayer::new(replay, decoder_layers) {
            return Err(config.refuse(&key, &error.to_string(), None).into());
        }
    }
    Ok(())
}
