//! The operations of a layer that are not matrix products. On a CPU each is one vectorised pass over memory on all cores, on other devices
//! a sequence of tensor operations.
mod gated;
mod norm;
mod rotary;
mod slices;
mod softmax;

pub(super) use gated::{gated, gated_backward};
pub(super) use norm::{rms_norm, rms_norm_backward};
pub(super) use rotary::rotate;
pub(super) use softmax::{Causal, causal_softmax, softmax_backward};

#[cfg(test)]
mod tests;
