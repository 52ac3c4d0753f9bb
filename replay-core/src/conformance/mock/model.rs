//! The mock engine's models.
use candle_core::{Device, Tensor};

use crate::Result;
use crate::lens::LogitLens;

pub(super) const LAYERS: usize = 5;
pub(super) const HIDDEN: usize = 8;
pub(super) const VOCABULARY: usize = 16;
pub(super) const PLACEHOLDER: u32 = 15;

pub(super) type Stream = Vec<[f32; HIDDEN]>;

/// A decoder whose layers mix every row with the mean of the rows before it.
#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) seed: u32,
}

impl Model {
    /// A weight between -0.5 and 0.5.
    pub(super) fn weight(&self, layer: usize, i: usize, j: usize) -> f32 {
        let mut x = self.seed ^ ((layer * 10_007 + i * 101 + j + 1) as u32).wrapping_mul(0x9E37_79B9);
        x = (x ^ (x >> 15)).wrapping_mul(0x85EB_CA6B);
        x = (x ^ (x >> 13)).wrapping_mul(0xC2B2_AE35);
        ((x ^ (x >> 16)) % 10_000) as f32 / 10_000.0 - 0.5
    }

    pub(super) fn embed(&self, tokens: &[u32], image: u32) -> Stream {
        let visual = |position: usize| 1000 + image as usize * 50 + position;
        let row = |(position, &token): (usize, &u32)| {
            let entry = if token == PLACEHOLDER { visual(position) } else { token as usize };
            std::array::from_fn(|i| 2.0 * self.weight(99, entry, i))
        };
        tokens.iter().enumerate().map(row).collect()
    }

    pub(super) fn layer(&self, layer: usize, stream: &Stream) -> Stream {
        let mut sum = [0f32; HIDDEN];
        let row = |(position, row): (usize, &[f32; HIDDEN])| {
            sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
            let mixed: [f32; HIDDEN] = std::array::from_fn(|i| row[i] + sum[i] / (position + 1) as f32);
            std::array::from_fn(|i| {
                let dot: f32 = (0..HIDDEN).map(|j| self.weight(layer, i, j) * mixed[j]).sum();
                row[i] + dot.tanh()
            })
        };
        stream.iter().enumerate().map(row).collect()
    }
}

impl LogitLens for Model {
    fn vocabulary(&self) -> usize {
        VOCABULARY
    }

    fn logits(&self, residual: &Tensor) -> candle_core::Result<Tensor> {
        let head: Vec<f32> =
            (0..HIDDEN * VOCABULARY).map(|i| self.weight(50, i / VOCABULARY, i % VOCABULARY)).collect();
        residual.matmul(&Tensor::from_vec(head, (HIDDEN, VOCABULARY), residual.device())?)
    }
}

/// The stream as a tensor, `[rows, hidden]`.
pub(super) fn tensor(stream: &Stream) -> Result<Tensor> {
    Ok(Tensor::from_vec(stream.concat(), (stream.len(), HIDDEN), &Device::Cpu)?)
}
