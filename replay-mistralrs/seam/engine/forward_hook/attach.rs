//! The hook of each pipeline, and the observer of engine starts.
use std::sync::{Arc, PoisonError, RwLock, Weak};

use mistralrs_quant::distributed::{use_nccl, use_ring};

use super::hook::PromptHook;
use crate::{
    pipeline::{GeneralMetadata, Pipeline},
    EngineConfig,
};

/// Called with every pipeline before its engine starts, also after a reload or a reboot. The hook that it returns is attached.
pub type Observer = dyn Fn(&mut dyn Pipeline) -> Result<Option<Arc<dyn PromptHook>>, String> + Send + Sync;

static OBSERVER: RwLock<Option<Arc<Observer>>> = RwLock::new(None);
// A pipeline is known by its metadata, which lives exactly as long; the `Weak` keeps the address from being used again.
static HOOKS: RwLock<Vec<(Weak<GeneralMetadata>, Arc<dyn PromptHook>)>> = RwLock::new(Vec::new());

/// Sets the observer of this process, or removes it. An engine does not start if the observer fails.
pub fn on_engine_start(observer: Option<Arc<Observer>>) {
    *OBSERVER.write().unwrap_or_else(PoisonError::into_inner) = observer;
}

/// Attaches a hook to the pipeline and removes the one before. Call it before the engine starts, which turns prefix caching off.
pub fn attach(pipeline: &dyn Pipeline, hook: Arc<dyn PromptHook>) {
    detach(pipeline);
    let mut hooks = HOOKS.write().unwrap_or_else(PoisonError::into_inner);
    hooks.push((Arc::downgrade(&pipeline.get_metadata()), hook));
}

/// Removes the pipeline's hook, if it has one.
pub fn detach(pipeline: &dyn Pipeline) {
    let detached = Arc::downgrade(&pipeline.get_metadata());
    let mut hooks = HOOKS.write().unwrap_or_else(PoisonError::into_inner);
    hooks.retain(|(metadata, _)| metadata.strong_count() > 0 && !metadata.ptr_eq(&detached));
}

pub(super) fn hook_of(metadata: &Arc<GeneralMetadata>) -> Option<Arc<dyn PromptHook>> {
    let hooks = HOOKS.read().unwrap_or_else(PoisonError::into_inner);
    let entry = hooks.iter().find(|(attached, _)| std::ptr::eq(attached.as_ptr(), Arc::as_ptr(metadata)));
    entry.map(|(_, hook)| hook.clone())
}

/// Lets the observer attach a hook, and returns the configuration that an engine with a hook needs.
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
        // The engine's prefix cache would give edited keys and values to requests without edits, and side passes need the whole prompt.
        config.no_prefix_cache = true;
    }
    Ok(config)
}
