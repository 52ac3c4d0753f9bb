//! The settings of a loaded pair, which can be reloaded while requests run.
use std::sync::Arc;

use crate::config::Config;
use crate::{Replayer, Result};

/// A profile of one [`Settings`]; see [`Settings::profile`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile(usize);

/// A snapshot of the settings. A later reload does not change it.
#[derive(Debug, Clone)]
pub struct Settings(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    replayer: Replayer,
    /// The profiles, with their names.
    profiles: Vec<(String, Replayer)>,
}

impl Settings {
    /// Binds a configuration to models of `decoder_layers` layers.
    ///
    /// # Errors
    /// If the models have too few layers for a policy.
    pub fn new(config: &Config, decoder_layers: usize) -> Result<Self> {
        let bound = |(name, replay)| Ok((String::clone(name), Replayer::new(replay, decoder_layers)?));
        let profiles = config.profiles.iter().map(bound).collect::<Result<_>>()?;
        Ok(Self(Arc::new(Inner { replayer: Replayer::new(&config.replay, decoder_layers)?, profiles })))
    }

    /// The settings of `[replay]`.
    pub fn replayer(&self) -> &Replayer {
        &self.0.replayer
    }

    /// The profile of that name.
    pub fn profile(&self, name: &str) -> Option<Profile> {
        self.0.profiles.iter().position(|(known, _)| known == name).map(Profile)
    }

    /// Names of all profiles.
    pub fn profiles(&self) -> impl Iterator<Item = &str> {
        self.0.profiles.iter().map(|(name, _)| name.as_str())
    }

    /// The settings of a profile, or those of `[replay]` for `None`.
    pub fn of(&self, profile: Option<Profile>) -> &Replayer {
        let named = profile.and_then(|Profile(index)| self.0.profiles.get(index));
        named.map_or(self.replayer(), |(_, replayer)| replayer)
    }

    /// The settings of `[replay]` and of every profile.
    pub fn all(&self) -> impl Iterator<Item = &Replayer> {
        std::iter::once(self.replayer()).chain(self.0.profiles.iter().map(|(_, replayer)| replayer))
    }
}
