//! Loads a model through the engine's own loader.
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use mistralrs_core::forward_hook::with_config_edit;
use mistralrs_core::{DeviceMapSetting, MultimodalLoaderBuilder, MultimodalSpecificConfig, Pipeline, TokenSource};
use replay_core::Role;
use tokio::sync::Mutex;

use crate::error::AttachError;
use crate::paged::PagedCache;
use crate::source::ModelSource;
use crate::table::Placement;

/// A loaded model that no engine runs yet.
pub(crate) type Loaded = Arc<Mutex<dyn Pipeline + Send + Sync>>;

/// Loads a model with the `config.json` that `edit` makes of its own (fewer layers: weights are read on request).
///
/// # Errors
/// Whatever the engine says of missing, corrupt or unfitting files, and that the hub cannot be reached.
pub(crate) fn load(
    role: Role,
    source: &ModelSource,
    placement: &Placement,
    paged: Option<&PagedCache>,
    edit: impl FnMut(String) -> Result<String, String> + 'static,
) -> Result<Loaded, AttachError> {
    let fail = |why: String| AttachError::Load { role, id: source.id.clone(), why };
    let device = placement.device.open().map_err(|e| fail(format!("its device: {e}")))?;
    let isq = placement.isq(&device).map_err(&fail)?;
    let dtype = placement.model_dtype(&device).map_err(&fail)?;
    let topology = placement.topology().map_err(&fail)?;
    let paged = paged.map(|paged| paged.config(&device)).transpose().map_err(&fail)?;
    let pages = paged.is_some();
    let specific = MultimodalSpecificConfig { topology, ..MultimodalSpecificConfig::default() };
    let builder = MultimodalLoaderBuilder::new(specific, None, None, Some(source.id.clone()), None);
    let loader = builder.build(None);
    // What one model is quantised to while it loads, the engine's loader leaves in force for the next that this thread loads.
    mistralrs_quant::clear_immediate_isq();
    // The loader panics on some corrupt files and on an unreachable hub.
    let loaded = unwinding(|| {
        with_config_edit(edit, || {
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
        Ok(Err(e)) => Err(fail(offline(format!("{e:#}")))),
        Err(why) => Err(fail(offline(why))),
    }
}

/// Runs `f` and turns a panic into its message.
fn unwinding<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("the engine panicked").to_string()
    })
}
