//! The soft cap on the logits of some architectures.
use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;

use super::exp;
use super::values::with_values;
use crate::simd::vectorized;

/// `cap * tanh(logits / cap)` in f32 (the Gemma families; Bello et al. 2016). It runs for every row of every layer, so on a CPU it is
/// written to vectorise; its error is below `1e-7 * cap`.
///
/// # Shapes
/// Any; returns the same.
///
/// # Errors
/// Those of the tensor library.
pub fn soft_cap(logits: &Tensor, cap: f64) -> candle_core::Result<Tensor> {
    let logits = logits.to_dtype(DType::F32)?;
    if logits.device().is_cpu() { by_values(&logits, cap) } else { by_tensors(&logits, cap) }
}

/// [`soft_cap`] for devices other than a CPU.
fn by_tensors(logits: &Tensor, cap: f64) -> candle_core::Result<Tensor> {
    (logits / cap)?.tanh()? * cap
}

fn by_values(logits: &Tensor, cap: f64) -> candle_core::Result<Tensor> {
    let mut values = with_values(logits, <[f32]>::to_vec)?;
    let cap = cap as f32;
    values.par_chunks_mut(1 << 14).for_each(|values| {
        vectorized(
            #[inline(always)]
            || values.iter_mut().for_each(|value| *value = capped(*value, cap)),
        );
    });
    Tensor::from_vec(values, logits.shape(), &Device::Cpu)
}

/// The soft cap of one logit, by `tanh |y| = (1 - e^(-2|y|)) / (1 + e^(-2|y|))`.
#[inline(always)]
fn capped(logit: f32, cap: f32) -> f32 {
    let t = exp(-2.0 * (logit / cap).abs());
    (cap * ((1.0 - t) / (1.0 + t))).copysign(logit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_same_tensors, edge_cases, wide};

    #[test]
    fn tensors_and_values_give_the_same_logits() {
        for logits in [edge_cases(), wide(3, 5000, 100.0), wide(3, 50, 1e-3)] {
            assert_same_tensors(&by_tensors(&logits, 30.0).unwrap(), &by_values(&logits, 30.0).unwrap());
        }
    }

    #[test]
    fn agrees_with_the_standard_library() {
        let cap = 30.0;
        let logits: Vec<f32> = (-200_000..200_000).map(|i| i as f32 * 2e-3).collect();
        let values = soft_cap(&Tensor::new(logits.as_slice(), &Device::Cpu).unwrap(), cap).unwrap();
        let exact = |logit: f32| cap * (f64::from(logit) / cap).tanh();
        let off =
            values.to_vec1::<f32>().unwrap().into_iter().zip(logits).map(|(a, b)| (f64::from(a) - exact(b)).abs());
        let worst = off.fold(0.0, f64::max);
        assert!(worst < 2e-7 * cap, "{worst:e}");
    }

    #[test]
    fn what_is_not_finite_stays_as_it_must() {
        let logits = Tensor::new(&[f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 0.0, 1e-30], &Device::Cpu).unwrap();
        let values = soft_cap(&logits, 30.0).unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(values[..2], [30.0, -30.0]);
        assert!(values[2].is_nan());
        assert!(values[3] == 0.0 && values[4].abs() < 1e-5);
    }
}
