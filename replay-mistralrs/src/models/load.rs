//! Loads models with the engine's own loader.
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};

use mistralrs_core::forward_hook::with_checkpoint;
use mistralrs_core::{DeviceMapSetting, MultimodalLoaderBuilder, MultimodalSpecificConfig, Pipeline, TokenSource};
use replay_core::Role;
use tokio::sync::Mutex;

use crate::config::paged::PagedCache;
use crate::config::table::Placement;
use crate::error::AttachError;
use crate::models::checkpoint::EditedCheckpoint;
use crate::models::config_layout::newer_transformers_version;
use crate::models::source::ModelSource;

/// The engine's pipeline of a loaded model.
pub(crate) type LoadedPipeline = Arc<Mutex<dyn Pipeline + Send + Sync>>;

/// Options of the model that answers requests; the base is loaded without them.
#[derive(Default)]
pub(crate) struct ServingOptions<'a> {
    pub(crate) paged: Option<&'a PagedCache>,
    pub(crate) chat_template: Option<&'a Path>,
}

/// Loads a model. Its files are completed and edited for the engine, and its `config.json` passes through `edit`, which may reduce the number of layers:
/// the engine reads only the weights that the configuration asks for.
///
/// # Errors
/// If files are missing, corrupt or do not fit, or the hub cannot be reached.
pub(crate) fn load_model(
    role: Role,
    source: &ModelSource,
    placement: &Placement,
    options: ServingOptions<'_>,
    edit: impl FnMut(String) -> Result<String, String> + 'static,
) -> Result<LoadedPipeline, AttachError> {
    let fail = |why: String| AttachError::Load { role, id: source.id.clone(), why };
    let device = placement.device.device().map_err(|e| fail(format!("its device: {e}")))?;
    let isq = placement.isq_type(&device).map_err(&fail)?;
    let dtype = placement.model_dtype(&device).map_err(&fail)?;
    let topology = placement.topology().map_err(&fail)?;
    let paged = options.paged.map(|paged| paged.engine_config(&device)).transpose().map_err(&fail)?;
    let chat_template = options.chat_template.map(check_readable).transpose().map_err(&fail)?;
    let wants_pages = paged.is_some();
    let specific = MultimodalSpecificConfig { topology, ..MultimodalSpecificConfig::default() };
    let builder = MultimodalLoaderBuilder::new(specific, None, None, Some(source.id.clone()), chat_template);
    let loader = builder.build(None);
    let checkpoint = EditedCheckpoint::new(source, edit).map_err(&fail)?;
    // The engine's loader would apply the quantisation of the model loaded before on this thread.
    mistralrs_quant::clear_immediate_isq();
    // The loader panics on some corrupt files and on an unreachable hub.
    let loaded = catch_panic(|| {
        with_checkpoint(checkpoint, || {
            loader.load_model_from_hf(
                None,
                TokenSource::CacheToken,
                &dtype,
                &device,
                true,
                DeviceMapSetting::dummy(),
                isq,
                paged,
            )
        })
    });
    mistralrs_quant::clear_immediate_isq();
    let with_paging_hint = |why: String| match wants_pages {
        true => format!(
            "{why}\n[mistralrs.paged_attention] is set, and the engine does not support PagedAttention for every family."
        ),
        false => why,
    };
    let with_source_hint = |why: String| match source.is_local() {
        true => with_paging_hint(why),
        false => format!(
            "there is no such directory, and the hub did not provide the model: {why}\n\
             Without a network, put the model's files into a directory and name that directory."
        ),
    };
    match loaded {
        Ok(Ok(pipeline))
            if wants_pages && !pipeline.try_lock().is_ok_and(|p| p.get_metadata().cache_config.is_some()) =>
        {
            Err(fail(
                "the engine does not support PagedAttention for this family; remove [mistralrs.paged_attention]".into(),
            ))
        }
        Ok(Ok(pipeline)) => Ok(pipeline),
        Ok(Err(e)) => Err(fail(with_version_hint(source, with_source_hint(format!("{e:#}"))))),
        Err(why) => Err(fail(with_version_hint(source, with_source_hint(why)))),
    }
}

/// Adds a hint to an error if a newer version of transformers wrote the model's files.
fn with_version_hint(source: &ModelSource, why: String) -> String {
    match source.folder().and_then(|folder| newer_transformers_version(&folder)) {
        Some(version) => format!(
            "{why}\nIts config.json was written by transformers {version}. The engine looks for weights under the names of transformers 4, \
             which differ in some families: save the model with transformers 4."
        ),
        None => why,
    }
}

/// Runs `f` and returns the message of a panic as an error, and nowhere else: the engine loads layers on several threads, and each would
/// write its panic to the screen.
fn catch_panic<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    static LOADS: AtomicUsize = AtomicUsize::new(0);
    static QUIET: Once = Once::new();
    struct Loading;
    impl Drop for Loading {
        fn drop(&mut self) {
            LOADS.fetch_sub(1, Ordering::Relaxed);
        }
    }
    QUIET.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if LOADS.load(Ordering::Relaxed) == 0 {
                print(panic);
            }
        }));
    });
    LOADS.fetch_add(1, Ordering::Relaxed);
    let _loading = Loading;
    catch_unwind(AssertUnwindSafe(f)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("the engine panicked").to_string()
    })
}

/// Checks that the chat template can be read, since the engine panics if it cannot. Returns its path as the engine takes it.
fn check_readable(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|e| format!("its chat template {}: {e}", file.display()))?;
    Ok(file.to_string_lossy().into_owned())
}
