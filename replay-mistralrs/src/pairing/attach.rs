//! Attaches replay to pipelines.
use std::sync::Arc;

use mistralrs_core::Pipeline;
use mistralrs_core::forward_hook::{self, Observer};
use replay_core::config::Config;

use crate::error::AttachError;
use crate::models::load::LoadedPipeline;
use crate::pairing::attached::Attached;
use crate::pairing::loaded_base::LoadedBase;

/// Attaches replay to a loaded pipeline: loads the base (only the decoder layers that the policy needs), checks that the two models are a
/// pair, runs the self-tests, and hooks the pipeline. Returns `None` if the configuration says `enabled = false`.
///
/// Call it before the pipeline's engine starts. The engine's own prefix cache is off for a replayed pipeline; replay's prefix cache takes its
/// place if `replay.cache.prefix_bytes` is not 0.
///
/// # Errors
/// If the base cannot be loaded, the models are not a pair, or a self-test fails.
pub fn attach(pipeline: &LoadedPipeline, config: &Config) -> Result<Option<Attached>, AttachError> {
    if !config.replay.enabled {
        return Ok(None);
    }
    let base = LoadedBase::load(config)?;
    base.check_rlvr_config_layout()?;
    attach_base(&base, pipeline).map(Some)
}

/// Attaches replay to a loaded pipeline, with a base that is loaded already.
///
/// # Errors
/// If the pipeline is in use or serves another model, the models are not a pair, or a self-test fails.
pub(crate) fn attach_base(base: &LoadedBase, pipeline: &LoadedPipeline) -> Result<Attached, AttachError> {
    let busy = |_| AttachError::Pipeline("the pipeline is in use; attach replay before its engine starts".into());
    let mut pipeline = pipeline.try_lock().map_err(busy)?;
    if !base.rlvr.is_served_by(&pipeline.name()) {
        let (served, named) = (pipeline.name(), &base.config.pair.rlvr);
        return Err(AttachError::Pipeline(format!("the pipeline serves {served}, but pair.rlvr is {named}")));
    }
    let attached = base.prepare_replay(&mut *pipeline)?;
    forward_hook::attach(&*pipeline, attached.hook.clone());
    Ok(attached)
}

/// Attaches replay to every pipeline of the RLVR model whose engine starts after this call, however it is loaded, also after a reload. The
/// base is loaded during the call. Other pipelines are not changed; a second call replaces the first.
///
/// # Errors
/// If the base cannot be loaded. If a pipeline cannot be replayed later, its engine fails to start with that error.
pub fn install(config: &Config) -> Result<(), AttachError> {
    install_observed(config, |_, _| ())
}

/// Does what [`install`] does, and calls `observe` for every pipeline of the RLVR model whose engine starts, with the name of the pipeline and
/// its replay or the error.
///
/// # Errors
/// If the base cannot be loaded.
pub fn install_observed(
    config: &Config,
    observe: impl Fn(&str, Result<Attached, String>) + Send + Sync + 'static,
) -> Result<(), AttachError> {
    if !config.replay.enabled {
        uninstall();
        return Ok(());
    }
    let base = LoadedBase::load(config)?;
    let observer: Arc<Observer> = Arc::new(move |pipeline: &mut dyn Pipeline| {
        if !base.rlvr.is_served_by(&pipeline.name()) {
            let (served, named) = (pipeline.name(), &base.config.pair.rlvr);
            // The name of a speculative pipeline holds those of its two models. Serving the RLVR model in it without replay would go unnoticed.
            if served.starts_with("Speculative: ") && served.contains(&format!("`{}`", base.rlvr.id)) {
                return Err(format!("activation replay does not support speculative decoding ({served})"));
            }
            tracing::warn!("activation replay is installed for {named}; {served} is served without it");
            return Ok(None);
        }
        let attached =
            base.check_rlvr_config_layout().and_then(|()| base.prepare_replay(pipeline)).map_err(|e| e.to_string());
        observe(&pipeline.name(), attached.clone());
        let attached = attached?;
        let prefix_cache = if attached.hook.pair.prefix_cache.is_enabled() { "replay's own" } else { "off" };
        tracing::info!("activation replay is on for {}; its prefix cache is {prefix_cache}", pipeline.name());
        Ok(Some(attached.hook))
    });
    forward_hook::on_engine_start(Some(observer));
    Ok(())
}

/// Undoes [`install`] for pipelines whose engine starts after this call.
pub fn uninstall() {
    forward_hook::on_engine_start(None);
}
