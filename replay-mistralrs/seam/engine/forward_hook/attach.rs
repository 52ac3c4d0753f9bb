//! Which pipeline has which hook.
use std::sync::{Arc, PoisonError, RwLock, Weak};

use mistralrs_quant::distributed::{use_nccl, use_ring};

use super::hook::PromptHook;
use crate::{
    pipeline::{GeneralMetadata, Pipeline},
    EngineConfig,
};

/// Sees every pipeline just before its engine starts (also after a reload or a reboot), and may give it a hook.
pub type Observer = dyn Fn(&mut dyn Pipeline) -> Result<Option<Arc<dyn PromptHook>>, String> + Send + Sync;

static OBSERVER: RwLock<Option<Arc<Observer>>> = RwLock::new(None);
// The metadata is the one thing of a pipeline that is shared and lives exactly as long; a `Weak` keeps its address unique.
static HOOKS: RwLock<Vec<(Weak<GeneralMetadata>, Arc<dyn PromptHook>)>> = RwLock::new(Vec::new());

/// Sets the one observer of this process. An error of it is an error of the engine's start.
pub fn on_engine_start(observer: Option<Arc<Observer>>) {
    *OBSERVER.write().unwrap_or_else(PoisonError::into_inner) = observer;
}

/// Gives the pipeline a hook, in place of the one it had. Do it before its engine starts: that is when prefix caching is turned off.
pub fn attach(pipeline: &dyn Pipeline, hook: Arc<dyn PromptHook>) {
    detach(pipeline);
    let mut hooks = HOOKS.write().unwrap_or_else(PoisonError::into_inner);
    hooks.push((Arc::downgrade(&pipeline.get_metadata()), hook));
}

pub fn detach(pipeline: &dyn Pipeline) {
    let gone = Arc::downgrade(&pipeline.get_metadata());
    let mut hooks = HOOKS.write().unwrap_or_else(PoisonError::into_inner);
    hooks.retain(|(metadata, _)| metadata.strong_count() > 0 && !metadata.ptr_eq(&gone));
}

pub(super) fn hook_of(metadata: &Arc<GeneralMetadata>) -> Option<Arc<dyn PromptHook>> {
    let hooks = HOOKS.read().unwrap_or_else(PoisonError::into_inner);
    let found = hooks.iter().find(|(known, _)| std::ptr::eq(known.as_ptr(), Arc::as_ptr(metadata)));
    found.map(|(_, hook)| hook.clone())
}

pub(crate) fn engine_start(
    pipeline: &Arc<tokio::sync::Mutex<dyn Pipeline>>,
    mut config: EngineConfig,
) -> Result<EngineConfig, String> {
    let mut pipeline = pipeline.try_lock().map_err(|e| e.to_string())?;
    let observer = OBSERVER.read().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(hook) = observer.map(|observer| observer(&mut *pipeline)).transpose()?.flatten() {
        attach(&*pipeline, hook);
    }
    if hook_of(&pipeline.get_metadata()).is_some() {
        if use_nccl() || use_ring() {
            return Err("forward hooks do not support tensor parallelism".into());
        }
        // A cached prefix carries edits into requests that must not have them, and cannot be run again clean.
        config.no_prefix_cache = true;
    }
    Ok(config)
}
