//! L-BFGS with a backtracking line search (Nocedal and Wright, Numerical Optimization, algorithms 7.4 and 3.1).
//!
//! The divergence is close to a quadratic in the delta, with curvatures that differ by orders of magnitude between directions. Plain
//! descent needs a step small enough for the largest curvature; a quasi-Newton step scales with each. `learning_rate` sets the first step
//! only.
use std::collections::VecDeque;

use candle_core::Tensor;

use super::{LastDelta, Search};
use crate::error::Result;
use crate::learned::Stop;
use crate::learned::reduce::dot;

/// How many of the last steps the approximation of the Hessian uses.
const MEMORY: usize = 10;
/// Share of the decrease predicted by the slope that a step must reach (the Armijo condition).
const ARMIJO: f64 = 1e-4;
/// Smallest and largest factor by which backtracking shortens a step.
const BACKTRACK: (f64, f64) = (0.1, 0.5);
/// The line search ends at steps shorter than this share of the first one.
const MIN_LENGTH: f64 = 1e-4;

/// A past step, and the change of the gradient over it.
struct PastStep {
    step: Tensor,
    change: Tensor,
    /// The dot product of both.
    curvature: f64,
}

pub(super) async fn run(search: &mut Search<'_>, start: Tensor) -> Result<LastDelta> {
    let not_finite = |delta| LastDelta { delta, evaluated: Some((f64::NAN, Vec::new())), stop: Stop::NotFinite };
    let mut delta = start;
    let (mut loss, mut gradient) = match search.pass(&delta).await? {
        Ok(pass) => pass,
        Err(_) => return Ok(not_finite(delta)),
    };
    let mut past: VecDeque<PastStep> = VecDeque::new();
    let mut previous = None;
    loop {
        if let Some(stop) = search.stop_reason(previous, loss) {
            return Ok(LastDelta { delta, evaluated: search.best_evaluation(loss), stop });
        }
        if !search.passes_left() {
            return Ok(LastDelta { delta, evaluated: search.best_evaluation(loss), stop: Stop::Iterations });
        }
        let direction = direction(&past, &gradient, search.settings.learning_rate)?;
        let slope = dot(&gradient, &direction)?;
        if slope >= 0.0 || !slope.is_finite() {
            return Ok(LastDelta { delta, evaluated: search.best_evaluation(loss), stop: Stop::NoDescent });
        }
        let mut length = 1.0;
        let (step, new_loss, new_gradient) = loop {
            let step = (&direction * length)?;
            let trial = (&delta + &step)?;
            // A trial that is not finite means that the step is too long, and does not end the search.
            let (shorter, accepted) = match search.pass(&trial).await? {
                Ok((trial_loss, gradient)) if trial_loss <= loss + ARMIJO * length * slope => {
                    (length, Some((trial_loss, gradient)))
                }
                // The minimum of the parabola through both losses and the slope.
                Ok((trial_loss, _)) => {
                    let parabola = -slope * length * length / (2.0 * (trial_loss - loss - slope * length));
                    (parabola.clamp(BACKTRACK.0 * length, BACKTRACK.1 * length), None)
                }
                Err(_) => (BACKTRACK.0 * length, None),
            };
            if let Some((trial_loss, gradient)) = accepted {
                break (step, trial_loss, gradient);
            }
            length = shorter;
            if length < MIN_LENGTH {
                return Ok(LastDelta { delta, evaluated: search.best_evaluation(loss), stop: Stop::NoDescent });
            }
            if !search.passes_left() {
                return Ok(LastDelta { delta, evaluated: search.best_evaluation(loss), stop: Stop::Iterations });
            }
            if let Some(stop) = search.stop_reason(None, loss) {
                return Ok(LastDelta { delta, evaluated: search.best_evaluation(loss), stop });
            }
        };
        delta = (&delta + &step)?;
        let change = (&new_gradient - &gradient)?;
        let curvature = dot(&step, &change)?;
        // With a curvature that is not positive the next direction could point uphill.
        if curvature > f64::EPSILON * dot(&change, &change)? {
            if past.len() == MEMORY {
                past.pop_front();
            }
            past.push_back(PastStep { step, change, curvature });
        }
        previous = Some(loss);
        (loss, gradient) = (new_loss, new_gradient);
    }
}

/// The two-loop recursion. The first direction is a step of plain gradient descent.
fn direction(past: &VecDeque<PastStep>, gradient: &Tensor, learning_rate: f64) -> Result<Tensor> {
    let Some(last) = past.back() else { return Ok((gradient * -learning_rate)?) };
    let mut direction = gradient.neg()?;
    let mut weights = Vec::with_capacity(past.len());
    for past in past.iter().rev() {
        let weight = dot(&past.step, &direction)? / past.curvature;
        direction = (direction - (&past.change * weight)?)?;
        weights.push(weight);
    }
    direction = (direction * (last.curvature / dot(&last.change, &last.change)?))?;
    for (past, weight) in past.iter().zip(weights.into_iter().rev()) {
        let correction = dot(&past.change, &direction)? / past.curvature;
        direction = (direction + (&past.step * (weight - correction))?)?;
    }
    Ok(direction)
}
