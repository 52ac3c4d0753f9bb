//! `/metrics`.
use std::sync::{Arc, Mutex, PoisonError};

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use super::Shared;

static HANDLE: Mutex<Option<PrometheusHandle>> = Mutex::new(None);

/// The recorder of this process; the first server installs it.
pub(super) fn install() -> anyhow::Result<PrometheusHandle> {
    let mut installed = HANDLE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*installed {
        return Ok(handle.clone());
    }
    let steps = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0];
    let handle = PrometheusBuilder::new().set_buckets(&steps)?.install_recorder()?;
    replay_mistralrs::metrics::describe();
    Ok(installed.insert(handle).clone())
}

/// `bases` are the bytes of the base models, which stay as they are.
pub(super) async fn render(handle: PrometheusHandle, shared: Arc<Shared>, bases: u64) -> String {
    let replayed = || shared.served.models().filter_map(|(_, replay)| replay);
    let caches = replayed().map(|replay| replay.cache().bytes());
    let prefixes = replayed().map(|replay| replay.prefix_bytes());
    replay_mistralrs::metrics::memory(caches.sum(), prefixes.sum(), bases);
    handle.run_upkeep();
    handle.render()
}
