//! Strategy `substitute`: base pass, ranking, edits.
use tracing::{Instrument, info_span};

use super::capture::capture;
use super::clock::Clock;
use super::measure::measure;
use crate::replay::policy::Policy;
use crate::substitute::Edits;
use crate::{ReplayBackend, Report, Result, Role, RowSet, Status};

/// Computes the edits of one prompt and fills in its report; `None` if no row is selected. Only candidate rows are captured.
///
/// # Errors
/// Those of the backend's steps.
pub(crate) async fn substitute(
    policy: &Policy,
    backend: &mut dyn ReplayBackend,
    candidates: &RowSet,
    report: &mut Report,
) -> Result<Option<Edits>> {
    let replay = policy.settings();
    let mut clock = Clock::start();
    let base = capture(backend, Role::Base, &policy.base_residuals(), candidates).await?;
    report.milliseconds.capture_base = clock.lap();
    let rlvr_residuals = policy.rlvr_residuals();
    let rlvr = match rlvr_residuals.is_empty() {
        true => None,
        false => Some(capture(backend, Role::Rlvr, &rlvr_residuals, candidates).await?),
    };
    report.milliseconds.capture_rlvr = clock.lap();

    let selection = policy.rank(backend, candidates, &base, rlvr.as_ref()).await?;
    report.milliseconds.rank = clock.lap();
    report.set_layers(&selection, replay.alignment);
    if selection.is_empty() {
        report.status = Status::NothingSelected;
        return Ok(None);
    }
    let edits = info_span!("substitute").in_scope(|| Edits::new(&selection, &base, replay.alignment, replay.blend))?;
    report.milliseconds.substitute = clock.lap();
    if let (true, Some(rlvr)) = (replay.measure_kl, &rlvr) {
        let measuring = measure(&*backend, replay.lens_memory, &edits, &base, rlvr, &mut report.layers);
        measuring.instrument(info_span!("measure_kl")).await?;
        report.milliseconds.measure_kl = clock.lap();
    }
    report.status = Status::Replayed;
    Ok(Some(edits))
}
