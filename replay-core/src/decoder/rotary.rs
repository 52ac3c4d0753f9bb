//! Rotary position embedding over several position axes (M-RoPE; Qwen2-VL, arXiv 2409.12191, section 2.1).
use candle_core::{Device, Result, Tensor};

use super::kernel;

/// The axis of a position (frame, row, column) that each frequency rotates with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sections {
    /// The first `n[0]` frequencies rotate with axis 0, the next `n[1]` with axis 1, and so on.
    Consecutive(Vec<usize>),
    /// Frequency `3 i + a` rotates with axis `a` for `i < n[a]`; all others rotate with axis 0.
    Interleaved(Vec<usize>),
}

impl Sections {
    /// The axis of each of `half` frequencies.
    fn axes(&self, half: usize) -> Vec<usize> {
        match self {
            Self::Consecutive(sizes) => {
                let axes = sizes.iter().enumerate().flat_map(|(axis, &size)| std::iter::repeat_n(axis % 3, size));
                axes.chain(std::iter::repeat(0)).take(half).collect()
            }
            Self::Interleaved(sizes) => {
                let axis = |frequency: usize| {
                    let (axis, index) = (frequency % 3, frequency / 3);
                    if sizes.get(axis).is_some_and(|&size| index < size) { axis } else { 0 }
                };
                (0..half).map(axis).collect()
            }
        }
    }
}

/// Cosines and sines of the rotation angles of some rows. Coordinate `i` of a head rotates with coordinate `i + head / 2`.
#[derive(Debug, Clone)]
pub struct Rotary {
    /// `[rows, head / 2]`.
    cos: Tensor,
    /// `[rows, head / 2]`.
    sin: Tensor,
}

impl Rotary {
    /// Rotations by the angles `position[axis] * frequency`.
    ///
    /// # Shapes
    /// `positions`: one triple (frame, row, column) per row; `frequencies`: `[head / 2]`, in radians per position.
    ///
    /// # Errors
    /// Those of the tensor library.
    pub fn new(positions: &[[u32; 3]], frequencies: &[f32], sections: &Sections, device: &Device) -> Result<Self> {
        let half = frequencies.len();
        let axes = sections.axes(half);
        let angle = |position: &[u32; 3]| -> Vec<f32> {
            axes.iter().zip(frequencies).map(|(&axis, frequency)| position[axis] as f32 * frequency).collect()
        };
        let angles: Vec<f32> = positions.iter().flat_map(angle).collect();
        let angles = Tensor::from_vec(angles, (positions.len(), half), device)?;
        Ok(Self { cos: angles.cos()?, sin: angles.sin()? })
    }

    /// The rotations of some of the rows, by their index.
    pub(crate) fn select(&self, rows: &[usize]) -> Result<Self> {
        let pick = |tensor: &Tensor| crate::rows::select_rows(tensor, rows)?.contiguous();
        Ok(Self { cos: pick(&self.cos)?, sin: pick(&self.sin)? })
    }

    /// Rotates each row.
    ///
    /// # Shapes
    /// `x`: `[heads, rows, head]`; returns the same.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        kernel::rotate(x, &self.cos, &self.sin, false)
    }

    /// The gradient with respect to `x` of `sum(gradient * forward(x))`: the rotation back.
    ///
    /// # Shapes
    /// `gradient`: `[heads, rows, head]`; returns the same.
    pub(crate) fn backward(&self, gradient: &Tensor) -> Result<Tensor> {
        kernel::rotate(gradient, &self.cos, &self.sin, true)
    }
}
