//! Strategy `learned`: base pass, ranking, targets, search, edits.
use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};

use candle_core::Tensor;
use tracing::{Instrument, info_span};

use super::clock::Clock;
use crate::config::{Loss, Positions};
use crate::learned::{
    BaseRows, Differentiable, LearnedDelta, Objective, Solution, Stop, Targets, clean_residuals, last_rows, solve,
};
use crate::lens::StreamedLens;
use crate::rank::{Selection, ranked_residual};
use crate::replay::policy::Policy;
use crate::rows::{Span, SpanRows, select_rows};
use crate::substitute::Edits;
use crate::{
    Activations, BeforeAfter, Error, LearnedReport, Milliseconds, ReplayBackend, Result, Role, RowSet, yield_now,
};

/// The result of strategy `learned` for one prompt.
pub(crate) struct Learning {
    pub(crate) selection: Selection,
    /// `None` if no row was selected.
    pub(crate) correction: Option<Correction>,
}

/// A learned delta, its edit and its report.
pub(crate) struct Correction {
    pub(crate) learned: LearnedDelta,
    /// The edit that adds the delta; `None` if the delta is zero.
    pub(crate) edits: Option<Edits>,
    pub(crate) report: LearnedReport,
    /// What the loss compares, per policy layer of the selection; `None` where no row is selected.
    pub(crate) apart: Vec<Option<BeforeAfter>>,
}

/// Ranks the visual rows of one prompt and learns a delta for all of them.
///
/// # Errors
/// Those of the backend's steps; [`Error::Cancelled`] if the client went away, [`Error::NotFinite`] if the loss is not finite.
pub(crate) async fn learn(
    policy: &Policy,
    backend: &mut dyn ReplayBackend,
    times: &mut Milliseconds,
) -> Result<Learning> {
    let replay = policy.settings();
    let settings = &replay.learned;
    let visual = backend.prompt().candidates(Positions::Visual);
    let compared = |layer| replay.alignment.edited_residual(layer);
    let last_compared = policy.layers().last().map_or(0, |&layer| compared(layer));

    let mut clock = Clock::start();
    let base = differentiable(backend, Role::Base, settings.inject..policy.last_residual()).await?;
    let span = base.rows();
    // Inputs as well as outputs of the policy layers, since the last layer runs again for the selected rows only.
    let wanted: Vec<usize> = policy.layers().iter().flat_map(|&layer| [layer, ranked_residual(layer)]).collect();
    let residuals = clean_residuals(&*base, &wanted).await?;
    times.capture_base = clock.lap();

    let rlvr_end = if policy.compares_models() { policy.last_residual() } else { last_compared };
    let rlvr = differentiable(backend, Role::Rlvr, settings.inject..rlvr_end).await?;
    if rlvr.rows() != span {
        return Err(Error::size("rows of the RLVR model's layers", format!("{span:?}"), format!("{:?}", rlvr.rows())));
    }
    let clean = match policy.compares_models() {
        true => Some(ranked_activations(policy, Role::Rlvr, span, &clean_residuals(&*rlvr, &wanted).await?)?),
        false => None,
    };
    times.capture_rlvr = clock.lap();

    let activations = ranked_activations(policy, Role::Base, span, &residuals)?;
    let selection = policy.rank(backend, &visual, &activations, clean.as_ref()).await?;
    times.rank = clock.lap();
    if selection.is_empty() {
        return Ok(Learning { selection, correction: None });
    }

    let base_rows = base_rows(policy, &selection, span, &*base, &residuals)?;
    let targets = match settings.loss {
        Loss::Lens => {
            let lens = backend.lens(Role::Base);
            let lens = StreamedLens::new(&*lens, replay.lens_memory);
            Targets::lens(&*base, lens, &base_rows, settings.top_tokens).instrument(info_span!("targets")).await?
        }
        Loss::Residual => Targets::states(&base_rows)?,
    };
    drop((base_rows, activations, residuals, base));
    times.targets = clock.lap();

    let visual_in_span = span.locate(&visual)?;
    let objective = Objective::new(&*rlvr, &targets, &visual_in_span, settings.normalize, settings.activation_memory)?;
    let mut listener = |progress| match backend.progress(progress) {
        true => ControlFlow::Continue(()),
        false => ControlFlow::Break(()),
    };
    let solution = solve(&objective, settings, &mut listener).instrument(info_span!("learn")).await?;
    times.learn = clock.lap();
    if solution.stop == Stop::NotFinite && solution.terms_before.is_empty() {
        return Err(Error::NotFinite { loss: solution.final_loss });
    }
    let correction = correction(policy, &selection, visual, solution)?;
    Ok(Learning { selection, correction: Some(correction) })
}

/// The ranked residuals, as a capture of the span's rows.
fn ranked_activations(
    policy: &Policy,
    role: Role,
    span: Span,
    residuals: &BTreeMap<usize, Tensor>,
) -> Result<Activations> {
    let mut activations = Activations::new(role, span.prompt_rows());
    for residual in policy.ranked_residuals() {
        if let Some(tensor) = residuals.get(&residual) {
            activations.insert(residual, tensor.clone())?;
        }
    }
    Ok(activations)
}

/// The base's residuals at the selected rows of each layer that selects any, and the RLVR residuals that are compared with them.
fn base_rows(
    policy: &Policy,
    selection: &Selection,
    span: Span,
    base: &dyn Differentiable,
    residuals: &BTreeMap<usize, Tensor>,
) -> Result<Vec<BaseRows>> {
    let selecting = selection.layers.iter().filter(|layer| !layer.rows.is_empty());
    let layers = selecting.map(|layer| Ok((layer.layer, span.locate(&layer.rows)?)));
    let layers: Vec<(usize, SpanRows)> = layers.collect::<Result<_>>()?;
    let last = layers.len().saturating_sub(1);
    let rows_of_layer = |(index, (layer, rows)): (usize, (usize, SpanRows))| {
        // The last layer runs for the selected rows only, as in the objective, so that equal models have equal bits.
        let recomputed = if index == last { last_rows(base, layer, residuals, &rows)? } else { None };
        let output = ranked_residual(layer);
        let captured = || {
            let residual = residuals.get(&output).ok_or(Error::NotCaptured { role: Role::Base, layer: output })?;
            Ok::<_, Error>(select_rows(residual, rows.as_slice())?)
        };
        let values = recomputed.map_or_else(captured, Ok)?;
        Ok(BaseRows { layer, rows, residual: policy.settings().alignment.edited_residual(layer), values })
    };
    layers.into_iter().enumerate().map(rows_of_layer).collect()
}

fn correction(policy: &Policy, selection: &Selection, visual: RowSet, solution: Solution) -> Result<Correction> {
    let settings = &policy.settings().learned;
    let squares = |row: &Vec<f32>| row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
    let squares: Vec<f64> = solution.delta.to_vec2::<f32>()?.iter().map(squares).collect();
    let norm = squares.iter().sum::<f64>().sqrt();
    let edits = match norm > 0.0 {
        true => Some(Edits::delta(settings.inject, visual, solution.delta.clone())?),
        false => None,
    };
    let mut terms = solution.terms_before.iter().zip(&solution.terms_after);
    let apart = selection.layers.iter().map(|layer| match layer.rows.is_empty() {
        true => None,
        false => terms.next().map(|(&before, &after)| BeforeAfter { before, after }),
    });
    let apart = apart.collect();
    let report = LearnedReport {
        solver: settings.solver,
        loss: settings.loss,
        inject: settings.inject,
        iterations: solution.losses.len(),
        losses: solution.losses.clone(),
        final_loss: solution.final_loss,
        delta_norm: norm,
        delta_norms: squares.iter().map(|square| square.sqrt() as f32).collect(),
        stop: solution.stop,
    };
    let selected = selection.layers.iter().map(|layer| layer.rows.clone()).collect();
    let learned = LearnedDelta { delta: solution.delta, losses: solution.losses, selected };
    Ok(Correction { learned, edits, report, apart })
}

async fn differentiable(
    backend: &mut dyn ReplayBackend,
    role: Role,
    layers: Range<usize>,
) -> Result<Box<dyn Differentiable>> {
    let model = backend.differentiable(role, layers).instrument(info_span!("capture", %role)).await?;
    yield_now().await;
    model.ok_or_else(|| {
        let architecture = &backend.pair().model(role).architecture;
        Error::Unavailable(format!(
            "strategy \"learned\" needs decoder layers with gradients, and this adapter has none for {architecture}; use strategy \
             \"substitute\""
        ))
    })
}
