//! Loads a model through the engine's own loader.
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use mistralrs_core::forward_hook::with_config_edit;
use mistralrs_core::{DeviceMapSetting, MultimodalLoaderBuilder, MultimodalSpecificConfig, Pipeline, TokenSource};
use replay_core::Role;
use tokio::sync::Mutex;

use crate::config::paged::PagedCache;
use crate::config::table::Placement;
use crate::error::AttachError;
use crate::models::config_layout::{translate_text, written_by_newer};
use crate::models::source::ModelSource;

/// A loaded model that no engine runs yet.
pub(crate) type Loaded = Arc<Mutex<dyn Pipeline + Send + Sync>>;

/// What only the model that answers is loaded with.
#[derive(Default)]
pub(crate) struct Answering<'a> {
    pub(crate) paged: Option<&'a PagedCache>,
    pub(crate) chat_template: Option<&'a Path>,
}

/// Loads a model with the `config.json` that `edit` makes of its own (fewer layers: weights are read on request), put as the engine reads
/// it.
///
/// # Errors
/// Whatever the engine says of missing, corrupt or unfitting files, and that the hub cannot be reached.
pub(crate) fn load(
    role: Role,
    source: &ModelSource,
    placement: &Placement,
    answering: Answering<'_>,
    mut edit: impl FnMut(String) -> Result<String, String> + 'static,
) -> Result<Loaded, AttachError> {
    let fail = |why: String| AttachError::Load { role, id: source.id.clone(), why };
    let device = placement.device.open().map_err(|e| fail(format!("its device: {e}")))?;
    let isq = placement.isq(&device).map_err(&fail)?;
    let dtype = placement.model_dtype(&device).map_err(&fail)?;
    let topology = placement.topology().map_err(&fail)?;
    let paged = answering.paged.map(|paged| paged.config(&device)).transpose().map_err(&fail)?;
    let chat_template = answering.chat_template.map(readable).transpose().map_err(&fail)?;
    let pages = paged.is_some();
    let specific = MultimodalSpecificConfig { topology, ..MultimodalSpecificConfig::default() };
    let builder = MultimodalLoaderBuilder::new(specific, None, None, Some(source.id.clone()), chat_template);
    let loader = builder.build(None);
    // What one model is quantised to while it loads, the engine's loader leaves in force for the next that this thread loads.
    mistralrs_quant::clear_immediate_isq();
    // The loader panics on some corrupt files and on an unreachable hub.
    let loaded = unwinding(|| {
        with_config_edit(
            move |text| edit(translate_text(text)?),
            || {
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
            },
        )
    });
    mistralrs_quant::clear_immediate_isq();
    let local = |why: String| match pages {
        true => format!(
            "{why}\n[mistralrs.paged_attention] was asked for, which the engine does not have for every family."
        ),
        false => why,
    };
    let offline = |why: String| match source.is_local() {
        true => local(why),
        false => format!(
            "it is not a directory here, and the hub did not give it: {why}\n\
             Without a network, put the model's files into a directory and name that directory."
        ),
    };
    match loaded {
        Ok(Ok(pipeline)) if pages && !pipeline.try_lock().is_ok_and(|p| p.get_metadata().cache_config.is_some()) => {
            Err(fail("the engine has no PagedAttention for this family; leave out [mistralrs.paged_attention]".into()))
        }
        Ok(Ok(pipeline)) => Ok(pipeline),
        Ok(Err(e)) => Err(fail(newer(source, offline(format!("{e:#}"))))),
        Err(why) => Err(fail(newer(source, offline(why)))),
    }
}

/// With a word on files that are newer than what the engine knows.
fn newer(source: &ModelSource, why: String) -> String {
    match source.folder().and_then(|folder| written_by_newer(&folder)) {
        Some(version) => format!(
            "{why}\nIts config.json was written by transformers {version}. Weights are looked for under the names that transformers 4 \
             gives them, which differ in some families: save the model with that."
        ),
        None => why,
    }
}

/// Runs `f` and turns a panic into its message.
fn unwinding<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("the engine panicked").to_string()
    })
}

/// The name of a file that the engine would panic about if it were not there.
fn readable(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|e| format!("its chat template {}: {e}", file.display()))?;
    Ok(file.to_string_lossy().into_owned())
}
