//! Sums over whole tensors, accumulated in f64.
use candle_core::{Result, Tensor};

/// Values per block where a device sums in f32.
const BLOCK: usize = 1024;

/// The dot product of two tensors of one shape, accumulated in f64, since a delta has hundreds of thousands of values.
///
/// # Errors
/// If the shapes differ; those of the tensor library.
pub(super) fn dot(a: &Tensor, b: &Tensor) -> Result<f64> {
    if a.dims() != b.dims() {
        candle_core::bail!("expected tensors of one shape, got {:?} and {:?}", a.dims(), b.dims());
    }
    if a.device().is_cpu() && b.device().is_cpu() { by_values(a, b) } else { by_tensors(a, b) }
}

fn by_values(a: &Tensor, b: &Tensor) -> Result<f64> {
    let values = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f32>();
    Ok(values(a)?.into_iter().zip(values(b)?).map(|(a, b)| f64::from(a) * f64::from(b)).sum())
}

/// [`dot`] for devices other than a CPU: the device sums blocks in f32, and only these sums are transferred.
fn by_tensors(a: &Tensor, b: &Tensor) -> Result<f64> {
    let products = (a * b.to_device(a.device())?)?.flatten_all()?;
    let padding = products.elem_count().next_multiple_of(BLOCK) - products.elem_count();
    let sums = products.pad_with_zeros(0, 0, padding)?.reshape(((), BLOCK))?.sum(1)?.to_vec1::<f32>()?;
    Ok(sums.into_iter().map(f64::from).sum())
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn tensor(values: Vec<f32>) -> Tensor {
        let columns = 5;
        Tensor::from_vec(values.clone(), (values.len() / columns, columns), &Device::Cpu).unwrap()
    }

    #[test]
    fn tensors_and_values_give_the_same_dot_products() {
        for count in [5, 1020, 1030, 5000] {
            let a = tensor((0..count).map(|i| ((i * 37) % 101) as f32 - 50.0).collect());
            let b = tensor((0..count).map(|i| ((i * 53) % 89) as f32 * 0.01).collect());
            let (values, tensors) = (by_values(&a, &b).unwrap(), by_tensors(&a, &b).unwrap());
            assert!((values - tensors).abs() < 1e-4 * values.abs().max(1.0), "{values} {tensors}");
        }
        let nan = tensor(vec![1.0, f32::NAN, 0.0, 0.0, 0.0]);
        assert!(by_values(&nan, &nan).unwrap().is_nan() && by_tensors(&nan, &nan).unwrap().is_nan());
    }

    #[test]
    fn small_terms_are_not_lost_beside_a_large_sum() {
        let mut values = vec![1e-2f32; 100_000];
        values[0] = 4096.0;
        let (a, ones) = (tensor(values), tensor(vec![1.0; 100_000]));
        let exact = 4096.0 + 99_999.0 * f64::from(1e-2f32);
        let (values, tensors) = (by_values(&a, &ones).unwrap(), by_tensors(&a, &ones).unwrap());
        assert!((values - exact).abs() < 1e-9 * exact, "{values} {exact}");
        // In one f32 sum each term would be rounded to a 2048th.
        assert!((tensors - exact).abs() < 0.5, "{tensors} {exact}");
    }

    #[test]
    fn tensors_of_other_shapes_are_refused() {
        assert!(dot(&tensor(vec![0.0; 10]), &tensor(vec![0.0; 5])).is_err());
    }
}
