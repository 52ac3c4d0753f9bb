//! The mock engine's layers with gradients.
use std::ops::Range;

use candle_core::Tensor;

use super::model::{HIDDEN, Model, Stream, VOCABULARY, tensor};
use crate::learned::{Differentiable, Tape};
use crate::{Result, Span, SpanRows};

pub(super) struct Layers {
    model: Model,
    span: Span,
    layers: Range<usize>,
    input: Tensor,
    /// The rows before the span at the input of each layer, from the first layer on.
    rows_before: Vec<Stream>,
    /// Whether a row's gradient leaves out the row's effect on later rows.
    own_rows_only: bool,
}

impl Layers {
    /// Layers over a prompt whose residual stream enters the first layer as `stream`.
    pub(super) fn new(
        model: Model,
        stream: &Stream,
        span: Span,
        layers: Range<usize>,
        own_rows_only: bool,
    ) -> Result<Self> {
        let input = tensor(&stream[span.start..span.end].to_vec())?;
        let mut rows_before = vec![stream[..span.start].to_vec()];
        for layer in layers.clone() {
            rows_before.extend(rows_before.last().map(|rows| model.layer(layer, rows)));
        }
        Ok(Self { model, span, layers, input, rows_before, own_rows_only })
    }

    /// The rows before the span, and the residual's rows after them.
    fn stream(&self, layer: usize, residual: &Tensor) -> Result<Stream> {
        let rows: Vec<Vec<f32>> = residual.to_vec2()?;
        let rows = rows.iter().map(|row| std::array::from_fn(|i| row[i]));
        Ok(self.rows_before[layer - self.layers.start].iter().copied().chain(rows).collect())
    }
}

impl Differentiable for Layers {
    fn rows(&self) -> Span {
        self.span
    }

    fn layers(&self) -> Range<usize> {
        self.layers.clone()
    }

    fn input(&self) -> &Tensor {
        &self.input
    }

    fn forward(&self, layer: usize, residual: &Tensor, selected: Option<&SpanRows>) -> Result<(Tensor, Tape)> {
        let next = self.model.layer(layer, &self.stream(layer, residual)?);
        let rows = &next[self.span.start..];
        let rows: Stream = match selected {
            Some(selected) => selected.as_slice().iter().map(|&row| rows[row]).collect(),
            None => rows.to_vec(),
        };
        Ok((tensor(&rows)?, Tape(vec![])))
    }

    fn backward(
        &self,
        layer: usize,
        residual: &Tensor,
        selected: Option<&SpanRows>,
        _: Option<Tape>,
        gradient: &Tensor,
    ) -> Result<Tensor> {
        let stream = self.stream(layer, residual)?;
        let first = self.span.start;
        let mut out = vec![[0f32; HIDDEN]; stream.len() - first];
        let mut sum = [0f32; HIDDEN];
        let mixed: Stream = stream
            .iter()
            .enumerate()
            .map(|(position, row)| {
                sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
                std::array::from_fn(|i| row[i] + sum[i] / (position + 1) as f32)
            })
            .collect();
        for (index, above) in gradient.to_vec2::<f32>()?.iter().enumerate() {
            let row = selected.map_or(index, |selected| selected.as_slice()[index]);
            let position = first + row;
            let slope: [f32; HIDDEN] = std::array::from_fn(|i| {
                let dot: f32 = (0..HIDDEN).map(|j| self.model.weight(layer, i, j) * mixed[position][j]).sum();
                above[i] * (1.0 - dot.tanh().powi(2))
            });
            for j in 0..HIDDEN {
                let through: f32 = (0..HIDDEN).map(|i| self.model.weight(layer, i, j) * slope[i]).sum();
                out[row][j] += above[j] + through;
                let first = if self.own_rows_only { row } else { 0 };
                out[first..=row].iter_mut().for_each(|earlier| earlier[j] += through / (position + 1) as f32);
            }
        }
        tensor(&out)
    }

    fn norm(&self, residual: &Tensor) -> Result<Tensor> {
        Ok(residual.clone())
    }

    fn norm_backward(&self, _: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        Ok(gradient.clone())
    }

    fn head_rows(&self, tokens: &[u32]) -> Result<Tensor> {
        let weight = |token: u32, i: usize| self.model.weight(50, i, token as usize % VOCABULARY);
        let rows = tokens.iter().map(|&token| std::array::from_fn(|i| weight(token, i)));
        tensor(&rows.collect())
    }
}
