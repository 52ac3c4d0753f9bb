//! How closely an engine repeats itself.

/// How closely two passes over the same input agree. An engine states it, and the conformance kit checks that the engine keeps to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Exactness {
    /// Bit for bit.
    Bits,
    /// Within this distance: log-probabilities in nats, residuals as a share of their largest value.
    Tolerance(f32),
}

impl Exactness {
    /// Whether two lists of values agree. A tolerance is relative to `scale`. A NaN agrees only with a NaN of the same bits.
    pub fn agree(self, a: &[f32], b: &[f32], scale: f32) -> bool {
        let agree = |(a, b): (&f32, &f32)| match self {
            _ if a.to_bits() == b.to_bits() => true,
            Self::Bits => false,
            Self::Tolerance(tolerance) => (a - b).abs() <= tolerance * scale,
        };
        a.len() == b.len() && a.iter().zip(b).all(agree)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_bits_and_a_tolerance_is_a_share_of_the_scale() {
        assert!(Exactness::Bits.agree(&[1.0, f32::NAN], &[1.0, f32::NAN], 1.0));
        assert!(!Exactness::Bits.agree(&[0.0], &[-0.0], 1.0));
        assert!(Exactness::Tolerance(0.1).agree(&[10.0], &[10.9], 10.0));
        assert!(!Exactness::Tolerance(0.1).agree(&[10.0], &[11.1], 10.0));
        assert!(!Exactness::Tolerance(0.1).agree(&[1.0], &[f32::NAN], 10.0));
        assert!(!Exactness::Tolerance(0.1).agree(&[1.0], &[1.0, 1.0], 10.0));
    }
}
