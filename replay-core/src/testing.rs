//! Inputs and assertions for tests that compare CPU kernels with the tensor operations of other devices, both on CPU tensors.
use candle_core::{Device, Tensor};

/// Edge cases for reductions over rows: entries of minus infinity, one-hot rows, very large values, and rows that are not finite.
pub(crate) fn edge_cases() -> Tensor {
    let (out, nan) = (f32::NEG_INFINITY, f32::NAN);
    let rows = [
        [0.1f32, -0.7, 2.0, 0.4, 1.5, 0.3],
        [out, out, 0.0, out, out, out],
        [1e4, out, 0.0, -1e4, 1e4, 3.0],
        [2.5, 2.5, 2.5, 2.5, 2.5, 2.5],
        [out, 1.0, 2.0, 3.0, out, 0.0],
        [3e38, -3e38, 3e38, 0.0, 1.0, 2.0],
        [1e-30, -1e-30, 0.0, -0.0, 1e-38, 1e-3],
        [nan, 0.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, nan],
        [out, out, out, out, out, out],
        [f32::INFINITY, 0.0, 0.0, 0.0, 0.0, 0.0],
    ];
    Tensor::new(&rows, &Device::Cpu).unwrap()
}

/// Rows of different values between `-size` and `size`, longer than the lanes and blocks of the kernels.
pub(crate) fn wide(rows: usize, columns: usize, size: f32) -> Tensor {
    let value = |i: usize| ((i * 7919 + 13) * 104_729 % 100_003) as f32 / 50_001.5 * size - size;
    Tensor::from_vec((0..rows * columns).map(value).collect::<Vec<f32>>(), (rows, columns), &Device::Cpu).unwrap()
}

/// Asserts that two lists are equal within rounding, with the same infinities and NaNs.
pub(crate) fn assert_same(one: &[f32], other: &[f32]) {
    assert_eq!(one.len(), other.len());
    for (index, (a, b)) in one.iter().zip(other).enumerate() {
        let equal = a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 2e-5 * a.abs().max(1.0);
        assert!(equal, "{index} of {}: {a} and {b}", one.len());
    }
}

/// Asserts that two tensors have one shape, and values equal within rounding.
pub(crate) fn assert_same_tensors(one: &Tensor, other: &Tensor) {
    assert_eq!(one.dims(), other.dims());
    let values = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_same(&values(one), &values(other));
}
