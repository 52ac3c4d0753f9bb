//! The frequencies of the rotary embedding, and how models for longer contexts scale them.

/// How a model scales the frequencies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RotaryScaling {
    /// The frequencies are not scaled.
    None,
    /// All frequencies are divided by a factor (position interpolation, arXiv 2306.15595).
    Linear {
        /// The factor.
        factor: f32,
    },
    /// Frequencies with wavelengths above `original / low` are divided by the factor, those below `original / high` are kept, and in
    /// between the scale is interpolated (Llama 3.1: arXiv 2407.21783, section 3.4.2, with the numbers of the published `config.json`).
    Llama3 {
        /// The factor.
        factor: f32,
        /// `low_freq_factor`.
        low: f32,
        /// `high_freq_factor`.
        high: f32,
        /// Length of the context before it was extended, in positions.
        original: f32,
    },
}

/// `1 / theta^(2 i / head)` for each of `head / 2` pairs of coordinates, scaled, in radians per position.
pub fn frequencies(head: usize, theta: f64, scaling: RotaryScaling) -> Vec<f32> {
    // Computed in f32, as engines do: in f64 the angles of late positions would differ from the engine's.
    let inverse = |i: usize| 1.0 / (theta as f32).powf((2 * i) as f32 / head as f32);
    (0..head / 2).map(|i| scaled(inverse(i), scaling)).collect()
}

fn scaled(frequency: f32, scaling: RotaryScaling) -> f32 {
    match scaling {
        RotaryScaling::None => frequency,
        RotaryScaling::Linear { factor } => frequency / factor,
        RotaryScaling::Llama3 { factor, low, high, original } => {
            let wavelength = 2.0 * std::f32::consts::PI / frequency;
            match () {
                () if wavelength < original / high => frequency,
                () if wavelength > original / low => frequency / factor,
                () => {
                    let kept = (original / wavelength - low) / (high - low);
                    (1.0 - kept) * frequency / factor + kept * frequency
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llama3_keeps_fast_frequencies_divides_slow_ones_and_interpolates_between() {
        let plain = frequencies(128, 500_000.0, RotaryScaling::None);
        let scaling = RotaryScaling::Llama3 { factor: 8.0, low: 1.0, high: 4.0, original: 8192.0 };
        let scaled = frequencies(128, 500_000.0, scaling);
        let kept: Vec<f32> = scaled.iter().zip(&plain).map(|(scaled, plain)| scaled / plain).collect();
        assert!(kept.is_sorted_by(|a, b| a >= b) && kept[0] == 1.0 && kept[63] == 0.125, "{kept:?}");
        assert!(kept.iter().any(|&kept| kept > 0.2 && kept < 0.9), "{kept:?}");
        let linear = frequencies(128, 500_000.0, RotaryScaling::Linear { factor: 4.0 });
        assert_eq!(linear[5], plain[5] / 4.0);
    }
}
