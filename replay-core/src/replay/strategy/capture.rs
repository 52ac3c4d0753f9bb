//! A pass of the strategies.
use tracing::{Instrument, info_span};

use crate::{Activations, ReplayBackend, Result, Role, RowSet, yield_now};

/// Runs a clean pass in a tracing span.
pub(in crate::replay) async fn capture(
    backend: &mut dyn ReplayBackend,
    role: Role,
    layers: &[usize],
    rows: &RowSet,
) -> Result<Activations> {
    let pass = backend.capture(role, layers, rows).instrument(info_span!("capture", %role)).await;
    yield_now().await;
    pass
}
