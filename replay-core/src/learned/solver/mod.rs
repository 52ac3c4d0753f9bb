//! Finding a delta: one guard around every solver.
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

/// A loss counts as risen if it exceeds the best by more than this share of it: less is rounding.
const RISE: f64 = 1e-3;

/// The delta that a solver ended with.
#[derive(Debug, Clone)]
pub struct Solution {
    /// `[visual rows, hidden]`, f32.
    pub delta: Tensor,
    /// The loss before each step, one per pass.
    pub losses: Vec<f64>,
    /// The loss of the delta itself.
    pub final_loss: f64,
    /// Why the solver ended.
    pub stop: Stop,
    /// Mean restricted KL per target without a delta.
    pub kl_before: Vec<f32>,
    /// Mean restricted KL per target with the delta.
    pub kl_after: Vec<f32>,
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
        kl_before: Vec::new(),
    };
    let start = objective.zero()?;
    let ended = match settings.solver {
        Solver::GradientDescent => descent::run(&mut search, start).await?,
        Solver::Lbfgs => lbfgs::run(&mut search, start).await?,
    };
    search.finish(ended)
}

/// Where a solver ended: its delta is the solution, unless the guard knows a better one.
struct Ended {
    delta: Tensor,
    /// Its loss and KL, if they were evaluated: those of a last step were not.
    known: Option<(f64, Vec<f32>)>,
    stop: Stop,
}

struct Best {
    delta: Tensor,
    loss: f64,
    kl: Vec<f32>,
}

/// The state that every solver shares.
struct Search<'a> {
    objective: &'a Objective<'a>,
    settings: &'a Settings,
    observe: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
    started: Instant,
    losses: Vec<f64>,
    best: Option<Best>,
    kl_before: Vec<f32>,
}

impl Search<'_> {
    /// One pass: loss and gradient at `delta`. `Err(stop)` inside: the guard says that the search is over.
    async fn pass(&mut self, delta: &Tensor) -> Result<std::result::Result<(f64, Tensor), Stop>> {
        let Evaluation { loss, kl, gradient } = self.objective.evaluate(delta, true)?;
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
            self.kl_before.clone_from(&kl);
        }
        if self.best.as_ref().is_none_or(|best| loss < best.loss) {
            self.best = Some(Best { delta: delta.clone(), loss, kl });
        }
        Ok(Ok((loss, gradient)))
    }

    fn best_loss(&self) -> f64 {
        self.best.as_ref().map_or(f64::INFINITY, |best| best.loss)
    }

    fn rose(&self, loss: f64) -> bool {
        loss > self.best_loss() * (1.0 + RISE)
    }

    /// Why no further pass may begin, if it may not; `previous` and `loss` are the last two losses.
    fn over(&self, previous: Option<f64>, loss: f64) -> Option<Stop> {
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

    /// Loss and KL of the best delta, if this is its loss.
    fn known(&self, loss: f64) -> Option<(f64, Vec<f32>)> {
        self.best.as_ref().filter(|best| best.loss == loss).map(|best| (loss, best.kl.clone()))
    }

    fn passes_left(&self) -> bool {
        self.losses.len() < self.settings.iterations as usize
    }

    /// Evaluates the last delta if the solver has not, and falls back to the best one known if it is worse.
    fn finish(mut self, ended: Ended) -> Result<Solution> {
        let Ended { delta, known, mut stop } = ended;
        let (loss, kl) = match known {
            Some(known) => known,
            None => {
                let Evaluation { loss, kl, .. } = self.objective.evaluate(&delta, false)?;
                (loss, kl)
            }
        };
        let bad = match (loss.is_finite(), self.rose(loss)) {
            (false, _) => Some(Stop::NotFinite),
            (true, true) => Some(Stop::Rising),
            _ => None,
        };
        let (delta, final_loss, kl_after) = match (bad, self.best.take()) {
            (None, _) => (delta, loss, kl),
            (Some(bad), best) => {
                if !matches!(stop, Stop::NotFinite | Stop::Rising) {
                    stop = bad;
                }
                match best {
                    Some(best) => (best.delta, best.loss, best.kl),
                    // Not even the loss without a delta is finite.
                    None => (self.objective.zero()?, loss, kl),
                }
            }
        };
        Ok(Solution { delta, losses: self.losses, final_loss, stop, kl_before: self.kl_before, kl_after })
    }
}
