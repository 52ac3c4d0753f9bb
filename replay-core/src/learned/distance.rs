//! The relative squared distance of hidden states, with its gradient.
use candle_core::{D, Tensor};

use super::reduce::dot;
use crate::error::Result;

/// The base's hidden states, and what turns a squared distance from each into a relative one.
#[derive(Debug, Clone)]
pub struct BaseStates {
    /// `[rows, hidden]`, f32.
    states: Tensor,
    /// `1 / |state|^2`, `[rows, 1]`.
    inverse: Tensor,
}

impl BaseStates {
    /// The states of some rows, `[rows, hidden]`.
    ///
    /// # Errors
    /// Those of the tensor library.
    pub(super) fn new(states: &Tensor) -> Result<Self> {
        let squares = states.sqr()?.sum_keepdim(D::Minus1)?;
        // A row of zeros has no length to be relative to: it counts absolutely.
        let nonzero = squares.ne(0.0)?;
        Ok(Self { states: states.clone(), inverse: nonzero.where_cond(&squares.recip()?, &squares.ones_like()?)? })
    }

    /// The mean over rows of `|row - state|^2 / |state|^2`, and `weight` times the gradient of their sum with respect to `rows`. It is
    /// exactly zero where the rows equal the states.
    ///
    /// # Shapes
    /// `rows`: `[rows, hidden]`; returns the same.
    ///
    /// # Errors
    /// If the shapes differ; those of the tensor library.
    pub(super) fn compare(&self, rows: &Tensor, weight: f64) -> Result<(f64, Tensor)> {
        let difference = (rows - self.states.to_device(rows.device())?)?;
        let relative = difference.broadcast_mul(&self.inverse.to_device(rows.device())?)?;
        let sum = dot(&difference, &relative)?;
        Ok((sum / rows.dim(0)? as f64, (relative * (2.0 * weight))?))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::testing::wide;

    fn values(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn the_gradient_is_that_of_the_weighted_sum() {
        let (base, rows) = (wide(5, 12, 2.0), wide(5, 12, 1.0));
        let states = BaseStates::new(&base).unwrap();
        let (_, gradient) = states.compare(&rows, 0.3).unwrap();
        let gradient = values(&gradient);
        for at in [0usize, 17, 41, 59] {
            let moved = |by: f32| {
                let mut moved = values(&rows);
                moved[at] += by;
                let moved = Tensor::from_vec(moved, (5, 12), &Device::Cpu).unwrap();
                states.compare(&moved, 0.3).unwrap().0 * 5.0 * 0.3
            };
            let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            assert!((slope - f64::from(gradient[at])).abs() < 1e-4 * slope.abs().max(1e-2), "{slope} {}", gradient[at]);
        }
    }

    #[test]
    fn equal_states_are_exactly_zero_and_zeros_count_absolutely() {
        let base = wide(4, 8, 3.0);
        let (distance, gradient) = BaseStates::new(&base).unwrap().compare(&base, 1.0).unwrap();
        assert!(distance == 0.0 && values(&gradient).iter().all(|x| *x == 0.0));
        // |2 b - b|^2 / |b|^2 = 1, whatever the length.
        let (distance, _) = BaseStates::new(&base).unwrap().compare(&(&base * 2.0).unwrap(), 1.0).unwrap();
        assert!((distance - 1.0).abs() < 1e-6, "{distance}");
        let zeros = Tensor::zeros((1, 3), DType::F32, &Device::Cpu).unwrap();
        let ones = zeros.ones_like().unwrap();
        assert_eq!(BaseStates::new(&zeros).unwrap().compare(&ones, 1.0).unwrap().0, 3.0);
        assert!(BaseStates::new(&zeros).unwrap().compare(&base, 1.0).is_err());
        let nan = (ones * f64::NAN).unwrap();
        assert!(BaseStates::new(&zeros).unwrap().compare(&nan, 1.0).unwrap().0.is_nan());
    }
}
