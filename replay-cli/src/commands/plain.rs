//! The arms without replay, which every evaluation compares with.
use replay_core::Config;

/// The name of the RLVR model without replay.
pub(super) const OFF: &str = "replay off";
/// The name of the base model.
pub(super) const BASE: &str = "base alone";

/// The RLVR model, served without replay.
pub(super) fn disabled(config: &Config) -> Config {
    let mut config = config.clone();
    config.replay.enabled = false;
    config
}

/// The base model, served without replay.
pub(super) fn base_alone(config: &Config) -> Config {
    let mut config = disabled(config);
    config.pair.rlvr.clone_from(&config.pair.base);
    config
}
