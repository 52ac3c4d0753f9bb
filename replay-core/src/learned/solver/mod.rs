//! The solvers, and what they share: the best delta so far, budgets, cancellation.
mod descent;
mod lbfgs;

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use candle_core::Tensor;

use super::reduce::dot;
use super::{Evaluation, Objective, Progress, Stop};
use crate::config::{Learned as Settings, Solver};
use crate::error::{Error, Result};
use crate::yielding::yield_now;

/// A loss counts as risen if it exceeds the best loss by more than this share of it; smaller differences are rounding.
const RISE_TOLERANCE: f64 = 1e-3;

/// The delta that a solver ended with.
#[derive(Debug, Clone)]
pub struct Solution {
    /// `[visual rows, hidden]`, f32.
    pub delta: Tensor,
    /// The loss at each pass.
    pub losses: Vec<f64>,
    /// The loss of the delta itself.
    pub final_loss: f64,
    /// Why the solver ended.
    pub stop: Stop,
    /// The term of each target without a delta; see [`Evaluation::terms`].
    pub terms_before: Vec<f32>,
    /// The term of each target with the delta.
    pub terms_after: Vec<f32>,
}

/// Minimises the loss as the settings say. `observe` is called after every pass and can end the search. The future yields after every
/// pass.
///
/// # Errors
/// [`Error::Cancelled`] if `observe` breaks; those of the model's layers.
pub async fn solve(
    objective: &Objective<'_>,
    settings: &Settings,
    observe: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Solution> {
    let mut search = Search {
        objective,
        settings,
        observe,
        started: Instant::now(),
        losses: Vec::new(),
        best: None,
        terms_before: Vec::new(),
    };
    let start = objective.zero()?;
    let last = match settings.solver {
        Solver::GradientDescent => descent::run(&mut search, start).await?,
        Solver::Lbfgs => lbfgs::run(&mut search, start).await?,
    };
    search.finish(last)
}

/// The last delta of a solver. It is the solution, unless an earlier one was better.
struct LastDelta {
    delta: Tensor,
    /// The loss and terms of the delta, if it was evaluated; the delta of a last step was not.
    evaluated: Option<(f64, Vec<f32>)>,
    stop: Stop,
}

struct Best {
    delta: Tensor,
    loss: f64,
    terms: Vec<f32>,
}

/// The state that the solvers share.
struct Search<'a> {
    objective: &'a Objective<'a>,
    settings: &'a Settings,
    observe: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
    started: Instant,
    losses: Vec<f64>,
    best: Option<Best>,
    terms_before: Vec<f32>,
}

impl Search<'_> {
    /// Runs one pass: loss and gradient at `delta`. The inner error is the reason why the search has to end.
    async fn pass(&mut self, delta: &Tensor) -> Result<std::result::Result<(f64, Tensor), Stop>> {
        let Evaluation { loss, terms, gradient } = self.objective.evaluate(delta, true)?;
        self.losses.push(loss);
        let passes = self.settings.iterations as usize;
        let progress = Progress { pass: self.losses.len(), passes, loss };
        if (self.observe)(progress).is_break() {
            return Err(Error::Cancelled);
        }
        yield_now().await;
        let gradient = gradient.ok_or_else(|| Error::size("gradient of the loss", "one", "none"))?;
        let slope = dot(&gradient, &gradient)?;
        if !loss.is_finite() || !slope.is_finite() {
            return Ok(Err(Stop::NotFinite));
        }
        if self.losses.len() == 1 {
            self.terms_before.clone_from(&terms);
        }
        if self.best.as_ref().is_none_or(|best| loss < best.loss) {
            self.best = Some(Best { delta: delta.clone(), loss, terms });
        }
        Ok(Ok((loss, gradient)))
    }

    fn best_loss(&self) -> f64 {
        self.best.as_ref().map_or(f64::INFINITY, |best| best.loss)
    }

    fn rose(&self, loss: f64) -> bool {
        loss > self.best_loss() * (1.0 + RISE_TOLERANCE)
    }

    /// The reason to begin no further pass, if there is one; `previous` and `loss` are the last two losses.
    fn stop_reason(&self, previous: Option<f64>, loss: f64) -> Option<Stop> {
        let budget = Duration::from_millis(self.settings.time_budget_ms);
        if loss == 0.0 {
            return Some(Stop::Zero);
        }
        let tolerance = self.settings.tolerance;
        if tolerance > 0.0 && previous.is_some_and(|previous| previous - loss < tolerance * previous) {
            return Some(Stop::Tolerance);
        }
        (!budget.is_zero() && self.started.elapsed() >= budget).then_some(Stop::TimeBudget)
    }

    /// Loss and terms of the best delta, if `loss` is its loss.
    fn best_evaluation(&self, loss: f64) -> Option<(f64, Vec<f32>)> {
        self.best.as_ref().filter(|best| best.loss == loss).map(|best| (loss, best.terms.clone()))
    }

    fn passes_left(&self) -> bool {
        self.losses.len() < self.settings.iterations as usize
    }

    /// Evaluates the last delta if the solver has not, and returns the best delta instead if the last one is worse.
    fn finish(mut self, last: LastDelta) -> Result<Solution> {
        let LastDelta { delta, evaluated, mut stop } = last;
        let (loss, terms) = match evaluated {
            Some(evaluated) => evaluated,
            None => {
                let Evaluation { loss, terms, .. } = self.objective.evaluate(&delta, false)?;
                (loss, terms)
            }
        };
        let failure = match (loss.is_finite(), self.rose(loss)) {
            (false, _) => Some(Stop::NotFinite),
            (true, true) => Some(Stop::Rising),
            _ => None,
        };
        let (delta, final_loss, terms_after) = match (failure, self.best.take()) {
            (None, _) => (delta, loss, terms),
            (Some(failure), best) => {
                if !matches!(stop, Stop::NotFinite | Stop::Rising) {
                    stop = failure;
                }
                match best {
                    Some(best) => (best.delta, best.loss, best.terms),
                    // The loss is not finite even without a delta.
                    None => (self.objective.zero()?, loss, terms),
                }
            }
        };
        Ok(Solution { delta, losses: self.losses, final_loss, stop, terms_before: self.terms_before, terms_after })
    }
}
