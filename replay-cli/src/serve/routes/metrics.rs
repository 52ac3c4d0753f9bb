//! The metrics in Prometheus format.
use std::sync::{Arc, Mutex, PoisonError};

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use replay_core::session::Statistics;

use crate::serve::shared::Shared;

static HANDLE: Mutex<Option<PrometheusHandle>> = Mutex::new(None);

/// The metrics recorder of this process, which the first server installs.
pub(in crate::serve) fn install() -> anyhow::Result<PrometheusHandle> {
    let mut installed = HANDLE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*installed {
        return Ok(handle.clone());
    }
    let buckets = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0];
    let handle = PrometheusBuilder::new().set_buckets(&buckets)?.install_recorder()?;
    replay_core::metrics::describe();
    Ok(installed.insert(handle).clone())
}

pub(in crate::serve) async fn render(handle: PrometheusHandle, shared: Arc<Shared>) -> String {
    let statistics: Vec<_> = shared.served.models().map(|(_, session)| session.statistics()).collect();
    let sum = |pick: fn(&Statistics) -> u64| statistics.iter().map(pick).sum();
    replay_core::metrics::set_memory(sum(|s| s.cache_bytes), sum(|s| s.prefix_bytes), sum(|s| s.base_bytes));
    handle.run_upkeep();
    handle.render()
}
