//! `/metrics`.
use std::sync::{Arc, OnceLock};

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use super::Shared;

static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();

/// The recorder of this process; the first server installs it.
pub(super) fn install() -> anyhow::Result<PrometheusHandle> {
    if let Some(handle) = HANDLE.get() {
        return Ok(handle.clone());
    }
    let steps = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0];
    let handle = PrometheusBuilder::new().set_buckets(&steps)?.install_recorder()?;
    crate::metrics::describe();
    Ok(HANDLE.get_or_init(|| handle).clone())
}

/// `bases` are the bytes of the base models, which stay as they are.
pub(super) async fn render(handle: PrometheusHandle, shared: Arc<Shared>, bases: u64) -> String {
    let caches = shared.served.models().filter_map(|(_, replay)| replay).map(|replay| replay.cache().bytes());
    crate::metrics::memory(caches.sum(), bases);
    handle.run_upkeep();
    handle.render()
}
