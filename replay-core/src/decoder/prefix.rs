//! A model's first decoder layers over one prompt.
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use candle_core::{DType, Tensor};

use super::layer::{Intermediate, Layer};
use super::{DecoderWeights, Rotary, kernel};
use crate::learned::{Differentiable, Tape};
use crate::{Error, Result};

/// What a prefix is made of.
#[derive(Debug)]
pub struct PrefixInput<'a> {
    /// Decoder layers from the residual where it starts.
    pub layers: Range<usize>,
    /// The residuals of a clean pass from `layers.start` on: the first, and one after each layer whose output something is added to
    /// (visual features that enter between layers). `[all rows up to the last one wanted or more, hidden]` each.
    pub residuals: &'a BTreeMap<usize, Tensor>,
    /// Positions in the prompt of the rows that may change; rows in front of them are constant.
    pub rows: Range<usize>,
    /// Rows of a later addition, ascending positions in the prompt.
    pub visual: &'a [usize],
    /// Angles of all rows from position 0.
    pub rotary: Rotary,
}

/// A [`Differentiable`] over a model's own weights.
pub struct DecoderPrefix {
    weights: Arc<dyn DecoderWeights>,
    layers: Range<usize>,
    rows: Range<usize>,
    input: Tensor,
    rotary: Rotary,
    /// Per layer, keys and values of the rows in front; empty if there are none.
    in_front: Vec<(Tensor, Tensor)>,
    /// Per layer, what is added to its output, `[rows, hidden]`.
    additions: BTreeMap<usize, Tensor>,
}

impl std::fmt::Debug for DecoderPrefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DecoderPrefix").field("layers", &self.layers).field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl DecoderPrefix {
    /// Runs the rows in front once, and finds out what is added between layers: the difference of the engine's residual and this
    /// decoder's own.
    ///
    /// # Errors
    /// If a residual is missing or too short, or a layer fails.
    pub fn new(weights: Arc<dyn DecoderWeights>, input: PrefixInput<'_>) -> Result<Self> {
        let PrefixInput { layers, residuals, rows, visual, rotary } = input;
        let residual = |layer: usize| -> Result<Tensor> {
            let residual = residuals.get(&layer).ok_or_else(|| Error::size("residuals of a prefix", layer, "none"))?;
            Ok(residual.narrow(0, 0, rows.end)?.to_dtype(DType::F32)?.contiguous()?)
        };
        let all: Vec<usize> = (0..rows.end).collect();
        let (front, active) = all.split_at(rows.start);
        let full = rotary.select(&all)?;
        let start = residual(layers.start)?;
        let mut prefix = Self {
            weights,
            rows: rows.clone(),
            input: start.narrow(0, rows.start, rows.len())?.contiguous()?,
            rotary: rotary.select(active)?,
            in_front: Vec::new(),
            additions: BTreeMap::new(),
            layers: layers.clone(),
        };
        let front_rotary = if front.is_empty() { None } else { Some(rotary.select(front)?) };
        let (mut constant, last) = (start.narrow(0, 0, rows.start)?, layers.end.saturating_sub(1));
        for layer in layers {
            let weights = prefix.weights.layer(layer)?;
            let shape = prefix.weights.shape();
            let step = |rotary, in_front| Layer { shape, weights: &weights, rotary, in_front, selected: None };
            if let Some(rotary) = &front_rotary {
                let (index, layer) = (layer, step(rotary, None));
                constant = constant.to_device(weights.input_norm.device())?;
                prefix.in_front.push(layer.constants(&constant)?);
                if index < last {
                    constant = layer.close(&layer.open(&constant)?)?;
                }
            }
            if residuals.contains_key(&(layer + 1)) {
                let step = step(&full, None);
                let own = residual(layer)?.to_device(weights.input_norm.device())?;
                let own = step.close(&step.open(&own)?)?;
                let added = (residual(layer + 1)?.to_device(own.device())? - own)?;
                prefix.additions.insert(layer, only(&added, visual, &rows)?);
            }
        }
        Ok(prefix)
    }

    fn with_layer<T>(
        &self,
        layer: usize,
        selected: Option<&[usize]>,
        f: impl FnOnce(&Layer<'_>) -> candle_core::Result<T>,
    ) -> Result<T> {
        let weights = self.weights.layer(layer)?;
        let in_front = self.in_front.get(layer - self.layers.start);
        let shape = self.weights.shape();
        Ok(f(&Layer { shape, weights: &weights, rotary: &self.rotary, in_front, selected })?)
    }
}

/// Rows `rows` of `added`, zero where they are not visual.
fn only(added: &Tensor, visual: &[usize], rows: &Range<usize>) -> Result<Tensor> {
    let mask: Vec<f32> = rows.clone().map(|row| if visual.binary_search(&row).is_ok() { 1.0 } else { 0.0 }).collect();
    let mask = Tensor::from_vec(mask, (rows.len(), 1), added.device())?;
    Ok(added.narrow(0, rows.start, rows.len())?.broadcast_mul(&mask)?)
}

impl Differentiable for DecoderPrefix {
    fn rows(&self) -> Range<usize> {
        self.rows.clone()
    }

    fn layers(&self) -> Range<usize> {
        self.layers.clone()
    }

    fn input(&self) -> &Tensor {
        &self.input
    }

    fn forward(&self, layer: usize, residual: &Tensor, selected: Option<&[usize]>) -> Result<(Tensor, Tape)> {
        let (out, state) = self.with_layer(layer, selected, |step| {
            let residual = residual.to_device(step.weights.input_norm.device())?;
            let state = step.open(&residual)?;
            Ok((step.close(&state)?, state))
        })?;
        let out = match (self.additions.get(&layer), selected) {
            (None, _) => out,
            (Some(added), None) => (out + added)?,
            (Some(added), Some(rows)) => (out + crate::lens::select_rows(added, rows)?)?,
        };
        Ok((out, Tape(state.into_tensors())))
    }

    fn backward(
        &self,
        layer: usize,
        residual: &Tensor,
        selected: Option<&[usize]>,
        tape: Option<Tape>,
        gradient: &Tensor,
    ) -> Result<Tensor> {
        self.with_layer(layer, selected, |step| {
            let device = step.weights.input_norm.device();
            let residual = residual.to_device(device)?;
            let state = match tape.and_then(|tape| Intermediate::from_tensors(tape.0)) {
                Some(state) => state,
                None => step.open(&residual)?,
            };
            step.backward(&residual, &state, &gradient.to_device(device)?)
        })
    }

    fn norm(&self, residual: &Tensor) -> Result<Tensor> {
        let norm = self.weights.final_norm();
        let residual = residual.to_device(norm.device())?;
        Ok(kernel::rms_norm(&residual, norm, self.weights.shape().epsilon)?)
    }

    fn norm_backward(&self, residual: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        let norm = self.weights.final_norm();
        let residual = residual.to_device(norm.device())?;
        Ok(kernel::rms_norm_backward(&residual, norm, self.weights.shape().epsilon, gradient)?)
    }

    fn head_rows(&self, tokens: &[u32]) -> Result<Tensor> {
        Ok(self.weights.head_rows(tokens)?)
    }
}
