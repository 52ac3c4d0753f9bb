//! Gives pipelines replay.
use std::sync::Arc;

use mistralrs_core::Pipeline;
use mistralrs_core::forward_hook::{self, Observer};
use replay_core::config::Config;

use crate::error::AttachError;
use crate::models::load::LoadedPipeline;
use crate::pairing::attached::Attached;
use crate::pairing::base::Base;

/// Gives a loaded pipeline replay: loads the base (only the decoder layers that the policy needs), checks that the two models are a
/// pair, tests the taps, and hooks the pipeline. `None` if the configuration says `enabled = false`.
///
/// Call it before the pipeline's engine starts. The engine's prefix caching is off for a replayed pipeline; ours takes its place if
/// `replay.cache.prefix_bytes` is not 0.
///
/// # Errors
/// Everything that keeps the two models from being replayed.
pub fn attach(pipeline: &LoadedPipeline, config: &Config) -> Result<Option<Attached>, AttachError> {
    if !config.replay.enabled {
        return Ok(None);
    }
    let base = Base::load(config)?;
    base.is_read_right()?;
    attach_loaded(&base, pipeline).map(Some)
}

pub(crate) fn attach_loaded(base: &Base, pipeline: &LoadedPipeline) -> Result<Attached, AttachError> {
    let busy = |_| AttachError::Pipeline("the pipeline is in use; attach replay before its engine starts".into());
    let mut pipeline = pipeline.try_lock().map_err(busy)?;
    if !base.rlvr.is_served_by(&pipeline.name()) {
        let (served, named) = (pipeline.name(), &base.config.pair.rlvr);
        return Err(AttachError::Pipeline(format!("the pipeline serves {served}, but pair.rlvr is {named}")));
    }
    let attached = base.bind(&mut *pipeline)?;
    forward_hook::attach(&*pipeline, attached.hook.clone());
    Ok(attached)
}

/// Gives replay to every pipeline of the RLVR model whose engine starts afterwards, by whichever route it is loaded (also after a
/// reload). The base is loaded now. Other pipelines are left alone; a second call takes the place of the first.
///
/// # Errors
/// Those of loading the base. What keeps a pipeline from being replayed is an error of its engine's start.
pub fn install(config: &Config) -> Result<(), AttachError> {
    install_observed(config, |_, _| ())
}

/// [`install`], and calls `tell` for every pipeline of the model whose engine starts, with its name, and its replay or what kept it from
/// being replayed.
///
/// # Errors
/// Those of loading the base.
pub fn install_observed(
    config: &Config,
    tell: impl Fn(&str, Result<Attached, String>) + Send + Sync + 'static,
) -> Result<(), AttachError> {
    if !config.replay.enabled {
        uninstall();
        return Ok(());
    }
    let base = Base::load(config)?;
    let observer: Arc<Observer> = Arc::new(move |pipeline: &mut dyn Pipeline| {
        if !base.rlvr.is_served_by(&pipeline.name()) {
            let (served, named) = (pipeline.name(), &base.config.pair.rlvr);
            // It names its two models; to serve one of the pair without replay would go unseen.
            if served.starts_with("Speculative: ") && served.contains(&format!("`{}`", base.rlvr.id)) {
                return Err(format!("activation replay cannot be had with speculative decoding ({served})"));
            }
            tracing::warn!("activation replay is installed for {named}; {served} is served without it");
            return Ok(None);
        }
        let attached = base.is_read_right().and_then(|()| base.bind(pipeline)).map_err(|e| e.to_string());
        tell(&pipeline.name(), attached.clone());
        let attached = attached?;
        let prefixes = if attached.hook.bound.prefixes.is_on() { "replay's own" } else { "off" };
        tracing::info!("activation replay is on for {}; its prefix cache is {prefixes}", pipeline.name());
        Ok(Some(attached.hook))
    });
    forward_hook::on_engine_start(Some(observer));
    Ok(())
}

/// Ends what [`install`] began, for pipelines whose engine starts afterwards.
pub fn uninstall() {
    forward_hook::on_engine_start(None);
}
