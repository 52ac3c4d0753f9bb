//! The operations of a layer that are not matrix products. On a CPU each is one vectorised pass over memory on all cores, on other devices
//! a sequence of tensor operations.
mod gated;
mod norm;
mod rotary;
mod softmax;

pub(super) use gated::{gated, gated_backward};
pub(super) use norm::{rms_norm, rms_norm_backward};
pub(super) use rotary::rotate;
pub(super) use softmax::{Causal, causal_softmax, softmax_backward};

use candle_core::Layout;

use crate::storage::{values, values_mut};

/// Values per parallel task: many enough to hide the cost of splitting, few enough for a core's cache.
const CHUNK: usize = 4096;

fn width(layout: &Layout) -> usize {
    layout.dims().last().copied().unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests;
