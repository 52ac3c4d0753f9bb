//! The strategy over one prompt: base pass, ranking, targets, search, edits.
use std::ops::ControlFlow;
use std::time::Instant;

use candle_core::Tensor;
use tracing::{Instrument, info_span};

use super::objective::{clean_residuals, last_rows};
use super::targets::{Anchor, Targets};
use super::{Differentiable, Objective, Solution, Stop, solve};
use crate::lens::{StreamedLens, select_rows};
use crate::rank::{LayerSelection, Selection, ranked_residual};
use crate::substitute::Edits;
use crate::{Activations, Error, KlMean, LearnedReport, Milliseconds, ReplayBackend, Replayer, Result, Role};

/// What was learned for one prompt.
#[derive(Debug, Clone)]
pub struct Learned {
    /// `[visual rows, hidden]`, f32.
    pub delta: Tensor,
    /// The loss in front of each step.
    pub losses: Vec<f64>,
    /// Per policy layer, the positions in the prompt that were selected.
    pub selected: Vec<Vec<usize>>,
}

/// What the strategy found out, besides the times it took.
pub(crate) struct Found {
    /// Rows of the prompt.
    pub(crate) selection: Selection,
    /// `None` if no row was selected.
    pub(crate) outcome: Option<Outcome>,
}

/// The delta, and what to say of it.
pub(crate) struct Outcome {
    pub(crate) learned: Learned,
    /// `None` if the delta is zero: then nothing may change.
    pub(crate) edits: Option<Edits>,
    pub(crate) report: LearnedReport,
    /// Per policy layer of the selection.
    pub(crate) kl: Vec<Option<KlMean>>,
}

/// # Errors
/// Those of the backend's steps; [`Error::Cancelled`] if nobody waits any more.
pub(crate) async fn learn(
    replayer: &Replayer,
    backend: &mut dyn ReplayBackend,
    times: &mut Milliseconds,
) -> Result<Found> {
    let replay = replayer.settings();
    let settings = &replay.learned;
    let visual = backend.prompt().visual_rows();
    let compared = |layer| replay.alignment.edited_residual(layer);
    let last_compared = replayer.policy_layers().last().map_or(0, |&layer| compared(layer));

    let mut clock = Clock::start();
    let base = prefix(backend, Role::Base, settings.inject..replayer.last_residual()).await?;
    let first = base.rows().start;
    let visual: Vec<usize> = visual.iter().map(|row| row - first).collect();
    // Inputs as well as outputs: the last layer is run again for the selected rows alone.
    let wanted: Vec<usize> =
        replayer.policy_layers().iter().flat_map(|&layer| [layer, ranked_residual(layer)]).collect();
    let residuals = clean_residuals(&*base, &wanted)?;
    times.capture_base = clock.lap();

    let rlvr_end = if replay.rank.base_below_rlvr { replayer.last_residual() } else { last_compared };
    let rlvr = prefix(backend, Role::Rlvr, settings.inject..rlvr_end).await?;
    let rows = base.rows().len();
    let activations = |role, residuals: &std::collections::BTreeMap<usize, Tensor>| -> Result<Activations> {
        let mut activations = Activations::new(role, rows);
        for &layer in replayer.policy_layers() {
            if let Some(residual) = residuals.get(&ranked_residual(layer)) {
                activations.insert(ranked_residual(layer), residual.clone())?;
            }
        }
        Ok(activations)
    };
    let clean = match replay.rank.base_below_rlvr {
        true => Some(activations(Role::Rlvr, &clean_residuals(&*rlvr, &wanted)?)?),
        false => None,
    };
    times.capture_rlvr = clock.lap();

    let selection =
        replayer.rank(backend, &visual, first, &activations(Role::Base, &residuals)?, clean.as_ref()).await?;
    times.rank = clock.lap();
    if selection.is_empty() {
        return Ok(Found { selection, outcome: None });
    }

    let base_lens = backend.lens(Role::Base);
    let base_lens = StreamedLens::new(&*base_lens, replay.lens_memory);
    let chosen: Vec<&LayerSelection> = selection.layers.iter().filter(|layer| !layer.rows.is_empty()).collect();
    let mut anchors = Vec::with_capacity(chosen.len());
    for (index, &layer) in chosen.iter().enumerate() {
        let again = match index + 1 == chosen.len() {
            true => last_rows(&*base, layer.layer, &residuals, &layer.rows)?,
            false => None,
        };
        let at = ranked_residual(layer.layer);
        let whole = || {
            let residual = residuals.get(&at).ok_or(Error::NotCaptured { role: Role::Base, layer: at })?;
            Ok::<_, Error>(select_rows(residual, &layer.rows)?)
        };
        let base = again.map_or_else(whole, Ok)?;
        anchors.push(Anchor { selection: layer, residual: compared(layer.layer), base });
    }
    let targets = info_span!("targets").in_scope(|| Targets::new(&*base, base_lens, &anchors, settings.top_tokens))?;
    drop((anchors, residuals, base));
    times.targets = clock.lap();

    let objective = Objective::new(&*rlvr, &targets, &visual, settings.normalize, settings.activation_memory)?;
    let mut listener = |progress| match backend.progress(progress) {
        true => ControlFlow::Continue(()),
        false => ControlFlow::Break(()),
    };
    let solution = info_span!("learn").in_scope(|| solve(&objective, settings, &mut listener))?;
    times.learn = clock.lap();
    if solution.stop == Stop::NotFinite && solution.kl_before.is_empty() {
        return Err(Error::Unavailable("the loss is not finite even without a delta".into()));
    }

    let positions: Vec<usize> = visual.iter().map(|row| row + first).collect();
    let selected = |layer: &LayerSelection| layer.rows.iter().map(|row| row + first).collect();
    let selected = selection.layers.iter().map(selected).collect();
    let outcome = outcome(replayer, &selection, positions, selected, solution)?;
    Ok(Found { selection, outcome: Some(outcome) })
}

fn outcome(
    replayer: &Replayer,
    selection: &Selection,
    rows: Vec<usize>,
    selected: Vec<Vec<usize>>,
    solution: Solution,
) -> Result<Outcome> {
    let settings = &replayer.settings().learned;
    let norms = solution.delta.sqr()?.sum(1)?.sqrt()?.to_vec1::<f32>()?;
    let norm = norms.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    let edits = (norm > 0.0).then(|| Edits::delta(settings.inject, rows, solution.delta.clone()));
    let mut means = solution.kl_before.iter().zip(&solution.kl_after);
    let kl = selection.layers.iter().map(|layer| match layer.rows.is_empty() {
        true => None,
        false => means.next().map(|(&before, &after)| KlMean { before, after }),
    });
    let report = LearnedReport {
        solver: settings.solver,
        inject: settings.inject,
        iterations: solution.losses.len(),
        losses: solution.losses.clone(),
        final_loss: solution.final_loss,
        delta_norm: norm,
        delta_norms: norms,
        stop: solution.stop,
    };
    let kl = kl.collect();
    Ok(Outcome { learned: Learned { delta: solution.delta, losses: solution.losses, selected }, edits, report, kl })
}

async fn prefix(
    backend: &mut dyn ReplayBackend,
    role: Role,
    layers: std::ops::Range<usize>,
) -> Result<Box<dyn Differentiable>> {
    let pass = backend.differentiable(role, layers).instrument(info_span!("capture", %role));
    pass.await?.ok_or_else(|| {
        let architecture = &backend.pair().model(role).architecture;
        Error::Unavailable(format!("{architecture} has no differentiable prefix, which strategy \"learned\" needs"))
    })
}

/// A stopwatch of steps.
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Milliseconds since the last lap.
    pub(crate) fn lap(&mut self) -> f64 {
        let elapsed = self.0.elapsed().as_secs_f64() * 1e3;
        self.0 = Instant::now();
        elapsed
    }
}
