//! Access to the values of a tensor as a slice.
use candle_core::{Device, Result, Storage, Tensor};

/// Calls `read` with the values of an f32 tensor. Contiguous values on a CPU are not copied, since a block of logits is tens of megabytes.
pub(super) fn with_values<R>(tensor: &Tensor, read: impl FnOnce(&[f32]) -> R) -> Result<R> {
    let tensor = tensor.to_device(&Device::Cpu)?.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(values), Some((start, end))) => Ok(read(&values.as_slice::<f32>()?[start..end])),
        _ => candle_core::bail!("expected a contiguous CPU tensor, got strides {:?}", layout.stride()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_read_in_its_own_order() {
        let tensor = Tensor::new(&[[1f32, 2.0, 3.0], [4.0, 5.0, 6.0]], &Device::Cpu).unwrap();
        let read = |tensor: &Tensor| with_values(tensor, <[f32]>::to_vec).unwrap();
        assert_eq!(read(&tensor.narrow(0, 1, 1).unwrap()), [4.0, 5.0, 6.0]);
        assert_eq!(read(&tensor.t().unwrap()), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        assert!(with_values(&Tensor::new(&[1u32], &Device::Cpu).unwrap(), <[f32]>::len).is_err());
    }
}
