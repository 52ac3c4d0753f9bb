//! The parts of a layer that are not matrix products. On a CPU one vectorised pass over memory on all cores; elsewhere tensor
//! operations.
mod gated;
mod norm;
mod rotary;
mod softmax;

pub(super) use gated::{gated, gated_backward};
pub(super) use norm::{rms_norm, rms_norm_backward};
pub(super) use rotary::rotate;
pub(super) use softmax::{Causal, causal_softmax, softmax_backward};

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, DType, Layout, Result, bail};

/// Large enough that splitting the work costs nothing, small enough for a cache.
const CHUNK: usize = 4096;

fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((from, to))) => Ok(&values[from..to]),
        (other, _) => refused(other.dtype(), layout),
    }
}

fn values_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((from, to))) => Ok(&mut values[from..to]),
        (other, _) => refused(other.dtype(), layout),
    }
}

fn refused<T>(dtype: DType, layout: &Layout) -> Result<T> {
    bail!("expected contiguous {:?} values, got {dtype:?} with strides {:?}", DType::F32, layout.stride())
}

fn width(layout: &Layout) -> usize {
    layout.dims().last().copied().unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests;
