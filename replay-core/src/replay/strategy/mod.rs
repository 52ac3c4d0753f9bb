//! The strategies over one prompt: the order in which they ask a backend for passes, entropies and gradients.
mod clock;
mod learning;
mod measure;
mod substitution;

pub(crate) use learning::{Correction, Learning, learn};
pub(crate) use substitution::substitute;

use tracing::{Instrument, info_span};

use crate::{Activations, ReplayBackend, Result, Role, RowSet, yield_now};

/// Runs a clean pass in a tracing span.
async fn capture(backend: &mut dyn ReplayBackend, role: Role, layers: &[usize], rows: &RowSet) -> Result<Activations> {
    let pass = backend.capture(role, layers, rows).instrument(info_span!("capture", %role)).await;
    yield_now().await;
    pass
}
