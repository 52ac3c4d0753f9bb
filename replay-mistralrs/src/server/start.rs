//! Starts the engine that its configuration file describes, as the engine's own command line does, and attaches replay to the RLVR model.
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use mistralrs_core::{MistralRs, TokenSource};
use mistralrs_server_core::mistralrs_for_server_builder::MistralRsForServerBuilder;
use replay_core::config::Config;

use super::engine_file::{EngineFile, Mode};
use crate::error::AttachError;
use crate::pairing::attach::install_observed;
use crate::pairing::attached::Attached;

/// A running engine, the name of its default model, and the replay of each model, by the engine's name of the model.
pub(super) type StartedEngine = (Arc<MistralRs>, String, BTreeMap<String, Option<Attached>>);

/// Starts the engine, with replay on the model that `pair.rlvr` names.
///
/// # Errors
/// If the engine does not start or the model cannot be replayed.
pub(super) async fn start_engine(file: &EngineFile, config: &Config) -> Result<StartedEngine, AttachError> {
    let attached: Arc<Mutex<BTreeMap<String, Result<Attached, String>>>> = Arc::default();
    if config.replay.enabled {
        let outcomes = attached.clone();
        install_observed(config, move |pipeline, outcome| {
            outcomes.lock().unwrap_or_else(PoisonError::into_inner).insert(pipeline.to_owned(), outcome);
        })?;
    }
    let builder = engine_builder(file)?;
    // The engine panics if it cannot start: on an error that the observer returned, or on some corrupt files.
    let built = AssertUnwindSafe(builder.build()).catch_unwind().await;
    let mut attached = std::mem::take(&mut *attached.lock().unwrap_or_else(PoisonError::into_inner));
    if let Some(why) = attached.values().find_map(|outcome| outcome.as_ref().err()) {
        return Err(AttachError::Pipeline(why.clone()));
    }
    let engine = match built {
        Ok(Ok(engine)) => engine,
        Ok(Err(e)) => return Err(AttachError::EngineFile(format!("the engine does not start: {e:#}"))),
        Err(_) => return Err(AttachError::EngineFile("the engine does not start".into())),
    };
    let names = engine.list_models().map_err(AttachError::Pipeline)?;
    let models: BTreeMap<_, _> =
        names.into_iter().map(|name| (name.clone(), attached.remove(&name).and_then(Result::ok))).collect();
    let default = engine.get_default_model_id().map_err(AttachError::Pipeline)?;
    let default = default.or_else(|| models.keys().next().cloned());
    let default = default.ok_or_else(|| AttachError::EngineFile("no model to serve".into()))?;
    Ok((engine, default, models))
}

fn engine_builder(file: &EngineFile) -> Result<MistralRsForServerBuilder, AttachError> {
    let (global, runtime, paged) = (&file.global, &file.runtime, &file.paged_attn);
    let source = global.token_source.as_deref().map(str::parse::<TokenSource>).transpose();
    let source = source.map_err(|e| AttachError::EngineFile(format!("global.token_source: {e}")))?;
    let mut cpu = file.models.iter().filter_map(|model| model.device.cpu);
    let on_cpu = cpu.next().unwrap_or(false);
    if cpu.any(|other| other != on_cpu) {
        return Err(AttachError::EngineFile("expected the same device.cpu for all models".into()));
    }
    let mut builder = MistralRsForServerBuilder::new()
        .with_max_seqs(runtime.max_seqs)
        .with_no_kv_cache(runtime.no_kv_cache)
        .with_token_source(source.unwrap_or(TokenSource::CacheToken))
        .with_interactive_mode(false)
        .with_prefix_cache_n(runtime.prefix_cache_n)
        .with_cpu(on_cpu)
        .with_seed_optional(global.seed)
        .with_log_optional(global.log.clone())
        .with_chat_template_optional(runtime.chat_template.clone())
        .with_jinja_explicit_optional(runtime.jinja_explicit.clone())
        .set_paged_attn(match paged.mode {
            Mode::Auto => None,
            Mode::On => Some(true),
            Mode::Off => Some(false),
        })
        .with_paged_attn_gpu_mem_optional(paged.memory_mb)
        .with_paged_attn_gpu_mem_usage_optional(paged.memory_fraction)
        .with_paged_ctxt_len_optional(paged.context_len)
        .with_paged_attn_block_size_optional(paged.block_size)
        .with_paged_attn_cache_type(paged.cache_type);
    for model in &file.models {
        builder = builder.add_model_config(model.model_config()?);
    }
    Ok(match &file.default_model_id {
        Some(id) => builder.with_default_model_id(id.clone()),
        None => builder,
    })
}
