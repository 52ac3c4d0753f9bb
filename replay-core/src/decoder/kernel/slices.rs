//! Tensors on a CPU as slices.
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, DType, Layout, Result, bail};

/// Values per parallel task: many enough to hide the cost of splitting, few enough for a core's cache.
pub(super) const CHUNK: usize = 4096;

pub(super) fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((from, to))) => Ok(&values[from..to]),
        (other, _) => refused(other.dtype(), layout),
    }
}

pub(super) fn values_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((from, to))) => Ok(&mut values[from..to]),
        (other, _) => refused(other.dtype(), layout),
    }
}

fn refused<T>(dtype: DType, layout: &Layout) -> Result<T> {
    bail!("expected contiguous {:?} values, got {dtype:?} with strides {:?}", DType::F32, layout.stride())
}

pub(super) fn width(layout: &Layout) -> usize {
    layout.dims().last().copied().unwrap_or(1).max(1)
}
