//! Strategy `learned`: a small additive correction of the visual tokens, learned per prompt, that brings the RLVR model's low-entropy
//! activations back to the base's.
//!
//! A delta `[visual rows, hidden]`, f32, starts at zero and is added to the residual stream at the visual rows. The loss is the sum
//! over policy layers of the mean over selected rows of KL(base || RLVR), both restricted to the base's likeliest `top_tokens`
//! vocabulary entries and renormalised; divided by the number of visual rows when `normalize` (paper, section 4; published code, the
//! replay class of its evaluation kit). With `loss = "residual"`, the mean is of the relative squared distance of the hidden states
//! themselves: ours, as the lens of a few tokens leaves most directions of a hidden state free (`docs/map.md` has the measurements).
//!
//! * [`Differentiable`]: layers of a model with gradients; [`crate::decoder`] implements it from a model's weights;
//! * [`Objective`]: loss and gradient, layer by layer;
//! * [`solve`]: the reference solver and a faster one, with the same checks around both (best iterate, budgets, cancellation).
mod delta;
mod differentiable;
mod distance;
mod divergence;
mod gathered;
mod objective;
mod progress;
mod reduce;
mod solver;
mod targets;

pub use delta::LearnedDelta;
pub use differentiable::{Differentiable, Tape};
pub use distance::BaseStates;
pub use objective::{Evaluation, Objective};
pub(crate) use objective::{clean_residuals, last_rows};
pub use progress::{Progress, Stop};
pub use solver::{Solution, solve};
pub(crate) use targets::BaseRows;
pub use targets::{Content, Target, Targets};

#[cfg(test)]
mod tests;
