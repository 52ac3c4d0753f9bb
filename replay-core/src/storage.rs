//! The values of contiguous CPU tensors as slices, for operations on tensor storage.
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, DType, Layout, Result, bail};

/// The values of a contiguous f32 tensor.
///
/// # Errors
/// If the tensor has another type, or is not contiguous.
pub(crate) fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&values[start..end]),
        (other, _) => unexpected(DType::F32, other.dtype(), layout),
    }
}

/// The values of a contiguous f32 tensor, to be changed in place.
///
/// # Errors
/// If the tensor has another type, or is not contiguous.
pub(crate) fn values_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&mut values[start..end]),
        (other, _) => unexpected(DType::F32, other.dtype(), layout),
    }
}

/// The values of a contiguous u32 tensor.
///
/// # Errors
/// If the tensor has another type, or is not contiguous.
pub(crate) fn indices<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [u32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::U32(values), Some((start, end))) => Ok(&values[start..end]),
        (other, _) => unexpected(DType::U32, other.dtype(), layout),
    }
}

fn unexpected<T>(expected: DType, got: DType, layout: &Layout) -> Result<T> {
    bail!("expected contiguous {expected:?} values, got {got:?} with strides {:?}", layout.stride())
}
