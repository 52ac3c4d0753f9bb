//! L-BFGS with a backtracking line search (Nocedal and Wright, Numerical Optimization, algorithms 7.4 and 3.1).
//!
//! The divergence is close to a quadratic in the delta, with curvatures that differ by orders of magnitude between directions: plain
//! descent needs a step small enough for the steepest, a quasi-Newton step suits each. `learning_rate` is the length of the first
//! step only.
use std::collections::VecDeque;

use candle_core::Tensor;

use super::{Ended, Search};
use crate::error::Result;
use crate::learned::Stop;
use crate::learned::reduce::dot;

/// Pairs of steps remembered.
const MEMORY: usize = 10;
/// Share of the decrease promised by the slope that a step has to bring (Armijo).
const SUFFICIENT: f64 = 1e-4;
/// Bounds of one backtracking.
const SHORTEN: (f64, f64) = (0.1, 0.5);
/// A step shortened below this share of the first attempt will not find a descent either.
const SHORTEST: f64 = 1e-4;

/// A remembered step: how far, and how the gradient changed.
struct Pair {
    step: Tensor,
    change: Tensor,
    curvature: f64,
}

pub(super) async fn run(search: &mut Search<'_>, start: Tensor) -> Result<Ended> {
    let not_finite = |delta| Ended { delta, known: Some((f64::NAN, Vec::new())), stop: Stop::NotFinite };
    let mut delta = start;
    let (mut loss, mut gradient) = match search.pass(&delta).await? {
        Ok(pass) => pass,
        Err(_) => return Ok(not_finite(delta)),
    };
    let mut pairs: VecDeque<Pair> = VecDeque::new();
    let mut previous = None;
    loop {
        if let Some(stop) = search.over(previous, loss) {
            return Ok(Ended { delta, known: search.known(loss), stop });
        }
        if !search.passes_left() {
            return Ok(Ended { delta, known: search.known(loss), stop: Stop::Iterations });
        }
        let direction = direction(&pairs, &gradient, search.settings.learning_rate)?;
        let slope = dot(&gradient, &direction)?;
        if slope >= 0.0 || !slope.is_finite() {
            return Ok(Ended { delta, known: search.known(loss), stop: Stop::NoDescent });
        }
        let mut length = 1.0;
        let (step, new_loss, new_gradient) = loop {
            let step = (&direction * length)?;
            let trial = (&delta + &step)?;
            // A trial that is not finite is a step too long, not the end.
            let (shorter, accepted) = match search.pass(&trial).await? {
                Ok((trial_loss, gradient)) if trial_loss <= loss + SUFFICIENT * length * slope => {
                    (length, Some((trial_loss, gradient)))
                }
                // The minimum of the parabola through what is known.
                Ok((trial_loss, _)) => {
                    let parabola = -slope * length * length / (2.0 * (trial_loss - loss - slope * length));
                    (parabola.clamp(SHORTEN.0 * length, SHORTEN.1 * length), None)
                }
                Err(_) => (SHORTEN.0 * length, None),
            };
            if let Some((trial_loss, gradient)) = accepted {
                break (step, trial_loss, gradient);
            }
            length = shorter;
            if length < SHORTEST {
                return Ok(Ended { delta, known: search.known(loss), stop: Stop::NoDescent });
            }
            if !search.passes_left() {
                return Ok(Ended { delta, known: search.known(loss), stop: Stop::Iterations });
            }
            if let Some(stop) = search.over(None, loss) {
                return Ok(Ended { delta, known: search.known(loss), stop });
            }
        };
        delta = (&delta + &step)?;
        let change = (&new_gradient - &gradient)?;
        let curvature = dot(&step, &change)?;
        // A pair without curvature would make the next direction point uphill.
        if curvature > f64::EPSILON * dot(&change, &change)? {
            if pairs.len() == MEMORY {
                pairs.pop_front();
            }
            pairs.push_back(Pair { step, change, curvature });
        }
        previous = Some(loss);
        (loss, gradient) = (new_loss, new_gradient);
    }
}

/// The two-loop recursion; the first direction is a step of plain gradient descent.
fn direction(pairs: &VecDeque<Pair>, gradient: &Tensor, learning_rate: f64) -> Result<Tensor> {
    let Some(last) = pairs.back() else { return Ok((gradient * -learning_rate)?) };
    let mut direction = gradient.neg()?;
    let mut weights = Vec::with_capacity(pairs.len());
    for pair in pairs.iter().rev() {
        let weight = dot(&pair.step, &direction)? / pair.curvature;
        direction = (direction - (&pair.change * weight)?)?;
        weights.push(weight);
    }
    direction = (direction * (last.curvature / dot(&last.change, &last.change)?))?;
    for (pair, weight) in pairs.iter().zip(weights.into_iter().rev()) {
        let back = dot(&pair.change, &direction)? / pair.curvature;
        direction = (direction + (&pair.step * (weight - back))?)?;
    }
    Ok(direction)
}
