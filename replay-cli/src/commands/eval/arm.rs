//! The arms of an evaluation.
use replay_core::Config;
use replay_core::registry;

use super::super::exit::InputError;
use super::super::plain::{BASE, OFF, base_alone, disabled};
use super::{Configured, stem};

/// One arm: a configuration under evaluation.
pub(super) struct Arm {
    pub(super) name: String,
    pub(super) config: Config,
}

impl Arm {
    /// A fingerprint of everything that determines the answers of this arm: the models' weights, how they are loaded, and replay.
    ///
    /// # Errors
    /// If a model's files cannot be read.
    pub(super) fn fingerprint(&self) -> anyhow::Result<String> {
        let replay = if self.config.replay.enabled { self.config.fingerprint() } else { "off".into() };
        Ok(format!("{} {replay}", registry::adapter(&self.config.adapter)?.identity(&self.config)?))
    }
}

/// The arms of an evaluation: replay off, each configuration, and the base alone if `with_base`.
///
/// # Errors
/// If the configurations do not name the same pair, or two have the same name.
pub(super) fn arms(configs: &[Configured], with_base: bool) -> Result<Vec<Arm>, InputError> {
    let (first_path, first) = configs.first().ok_or_else(|| InputError("no configuration".into()))?;
    let mut arms = vec![Arm { name: OFF.into(), config: disabled(first) }];
    for (path, config) in configs {
        let same = |a: &str, b: &str| {
            let place = |config: &Config, name: &str| {
                let folder = config.source_path.as_deref().and_then(std::path::Path::parent);
                folder.and_then(|folder| folder.join(name).canonicalize().ok())
            };
            a == b || place(first, a).is_some_and(|found| place(config, b) == Some(found))
        };
        if !same(&first.pair.rlvr, &config.pair.rlvr) || !same(&first.pair.base, &config.pair.base) {
            return Err(InputError(format!(
                "{} and {} are about different pairs: evaluate them apart",
                first_path.display(),
                path.display()
            )));
        }
        let loading = |config: &Config| registry::adapter(&config.adapter).ok()?.loading(config).ok();
        if first.adapter != config.adapter || loading(first) != loading(config) {
            return Err(InputError(format!(
                "{} and {} load their models in different ways: their answers would not differ by replay alone",
                first_path.display(),
                path.display()
            )));
        }
        let name = stem(path);
        if arms.iter().any(|arm| arm.name == name) {
            return Err(InputError(format!("two arms would be called {name}")));
        }
        let mut config = config.clone();
        // Without the prefix cache an answer depends on its prompt and seed only, not on earlier requests.
        config.replay.cache.prefix_bytes = 0;
        arms.push(Arm { name, config });
    }
    if with_base {
        arms.push(Arm { name: BASE.into(), config: base_alone(first) });
    }
    Ok(arms)
}
