//! `e^x` for `x <= 0`, written so that a loop over a vocabulary vectorises.

/// `e^x` for finite or infinite `x <= 0`, to about one part in 10^7; NaN stays NaN.
///
/// `x = n ln 2 + r`, `|r| <= ln 2 / 2`; `e^r` by its Taylor polynomial of degree 7 (remainder below 5e-9), `2^n` by its exponent bits.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    // ln 2 in two parts, so that n * ln 2 is subtracted without losing the low bits of r (Cody and Waite).
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // Adding 1.5 * 2^23 leaves no bits for a fraction: it rounds to the nearest integer, which the low bits of the sum then hold.
    const ROUND: f32 = 12_582_912.0;
    // NaN fails this comparison and stays NaN.
    let clamped = if x < -104.0 { -104.0 } else { x };
    let shifted = clamped * LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (clamped - n * LN2_HIGH) - n * LN2_LOW;
    let p = 1.0 / 5040.0;
    let p = p * r + 1.0 / 720.0;
    let p = p * r + 1.0 / 120.0;
    let p = p * r + 1.0 / 24.0;
    let p = p * r + 1.0 / 6.0;
    let p = p * r + 0.5;
    let p = p * r + 1.0;
    let p = p * r + 1.0;
    // Results below the smallest normal number become zero: in a sum with a term of 1 they are rounded away.
    // Wrapping: a check for overflow would keep the loop from being vectorised.
    let exponent = (shifted.to_bits().wrapping_sub(ROUND.to_bits()) as i32).wrapping_add(127);
    p * f32::from_bits((exponent.max(0) as u32) << 23)
}

#[cfg(test)]
mod tests {
    use super::exp;
    use crate::testing::{assert_same, wide};

    #[test]
    fn tensors_and_values_give_the_same_exponentials() {
        for x in [wide(1, 1000, 1.0), wide(1, 1000, 60.0), wide(1, 100, 1e30)] {
            let x = x.abs().unwrap().neg().unwrap().flatten_all().unwrap();
            let values: Vec<f32> = x.to_vec1::<f32>().unwrap().into_iter().map(exp).collect();
            assert_same(&values, &x.exp().unwrap().to_vec1::<f32>().unwrap());
        }
    }

    #[test]
    fn agrees_with_the_standard_library() {
        let mut worst = 0f64;
        for i in 0..=870_000 {
            let x = -(i as f32) * 1e-4;
            let exact = f64::from(x).exp();
            worst = worst.max((f64::from(exp(x)) - exact).abs() / exact);
        }
        assert!(worst < 2.5e-7, "relative error {worst:e}");
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-1e30), 0.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert!(exp(f32::NAN).is_nan());
    }
}
