//! Decoder layers of a model over the rows of one prompt that a delta can change.
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use candle_core::{DType, Tensor};

use super::layer::{Intermediate, Layer};
use super::{DecoderWeights, Rotary, kernel};
use crate::error::{Error, Result};
use crate::learned::{Differentiable, Tape};
use crate::rows::{RowSet, Span, SpanRows, select_rows};

/// The inputs of [`DecoderSpan::new`].
#[derive(Debug)]
pub struct SpanInput<'a> {
    /// The decoder layers, from the one that the edited residual enters.
    pub layers: Range<usize>,
    /// Residuals of a clean pass, `[rows, hidden]` each, of all rows of the prompt up to the span's end or more: `residual[layers.start]`,
    /// and the residual after each layer to whose output the model adds something (visual features that enter between layers).
    pub residuals: &'a BTreeMap<usize, Tensor>,
    /// The rows that may change; rows before them are constant.
    pub span: Span,
    /// The visual rows, the only ones to which the model adds something between layers.
    pub visual: &'a RowSet,
    /// The rotary embedding of all rows of the prompt up to the span's end or more.
    pub rotary: Rotary,
}

/// A [`Differentiable`] over a model's own weights.
pub struct DecoderSpan {
    weights: Arc<dyn DecoderWeights>,
    layers: Range<usize>,
    span: Span,
    input: Tensor,
    rotary: Rotary,
    /// Per layer, keys and values of the rows before the span; empty if there are none.
    earlier: Vec<(Tensor, Tensor)>,
    /// By layer, the tensor that the model adds to the layer's output, `[rows, hidden]`.
    additions: BTreeMap<usize, Tensor>,
}

impl std::fmt::Debug for DecoderSpan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DecoderSpan").field("layers", &self.layers).field("span", &self.span).finish_non_exhaustive()
    }
}

impl DecoderSpan {
    /// Runs the rows before the span once, and computes what the model adds between layers, as the difference between the engine's residual
    /// and this decoder's own.
    ///
    /// # Errors
    /// If a residual is missing or too short, or a layer fails.
    pub fn new(weights: Arc<dyn DecoderWeights>, input: SpanInput<'_>) -> Result<Self> {
        let SpanInput { layers, residuals, span, visual, rotary } = input;
        let residual = |layer: usize| -> Result<Tensor> {
            let residual = residuals
                .get(&layer)
                .ok_or_else(|| Error::size("residuals to start from", format!("residual[{layer}]"), "none"))?;
            Ok(RowSet::all(span.end).take_from(residual)?.to_dtype(DType::F32)?.contiguous()?)
        };
        let all: Vec<usize> = (0..span.end).collect();
        let (rows_before, span_rows) = all.split_at(span.start);
        let full = rotary.select(&all)?;
        let start = residual(layers.start)?;
        let mut model = Self {
            weights,
            span,
            input: start.narrow(0, span.start, span.len())?.contiguous()?,
            rotary: rotary.select(span_rows)?,
            earlier: Vec::new(),
            additions: BTreeMap::new(),
            layers: layers.clone(),
        };
        let rotary_before = if rows_before.is_empty() { None } else { Some(rotary.select(rows_before)?) };
        let (mut constant, last) = (start.narrow(0, 0, span.start)?, layers.end.saturating_sub(1));
        for layer in layers {
            let weights = model.weights.layer(layer)?;
            let shape = model.weights.shape();
            let step = |rotary| Layer { shape, weights: &weights, rotary, earlier: None, selected: None };
            if let Some(rotary) = &rotary_before {
                let (index, layer) = (layer, step(rotary));
                constant = constant.to_device(weights.input_norm.device())?;
                model.earlier.push(layer.constant_keys_values(&constant)?);
                if index < last {
                    constant = layer.output(&layer.intermediate(&constant)?)?;
                }
            }
            if residuals.contains_key(&(layer + 1)) {
                let step = step(&full);
                let own = residual(layer)?.to_device(weights.input_norm.device())?;
                let own = step.output(&step.intermediate(&own)?)?;
                let added = (residual(layer + 1)?.to_device(own.device())? - own)?;
                model.additions.insert(layer, visual_part(&added, visual, span)?);
            }
        }
        Ok(model)
    }

    fn with_layer<T>(
        &self,
        layer: usize,
        selected: Option<&SpanRows>,
        f: impl FnOnce(&Layer<'_>) -> candle_core::Result<T>,
    ) -> Result<T> {
        let weights = self.weights.layer(layer)?;
        let earlier = self.earlier.get(layer - self.layers.start);
        let shape = self.weights.shape();
        let selected = selected.map(SpanRows::as_slice);
        Ok(f(&Layer { shape, weights: &weights, rotary: &self.rotary, earlier, selected })?)
    }
}

/// The span's rows of `added`, zero where they are not visual, `[rows, hidden]`.
fn visual_part(added: &Tensor, visual: &RowSet, span: Span) -> Result<Tensor> {
    let mask: Vec<f32> = span.prompt_rows().iter().map(|row| if visual.contains(row) { 1.0 } else { 0.0 }).collect();
    let mask = Tensor::from_vec(mask, (span.len(), 1), added.device())?;
    Ok(added.narrow(0, span.start, span.len())?.broadcast_mul(&mask)?)
}

impl Differentiable for DecoderSpan {
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
        let (out, state) = self.with_layer(layer, selected, |step| {
            let residual = residual.to_device(step.weights.input_norm.device())?;
            let state = step.intermediate(&residual)?;
            Ok((step.output(&state)?, state))
        })?;
        let out = match (self.additions.get(&layer), selected) {
            (None, _) => out,
            (Some(added), None) => (out + added)?,
            (Some(added), Some(rows)) => (out + select_rows(added, rows.as_slice())?)?,
        };
        Ok((out, Tape(state.into_tensors())))
    }

    fn backward(
        &self,
        layer: usize,
        residual: &Tensor,
        selected: Option<&SpanRows>,
        tape: Option<Tape>,
        gradient: &Tensor,
    ) -> Result<Tensor> {
        self.with_layer(layer, selected, |step| {
            let device = step.weights.input_norm.device();
            let residual = residual.to_device(device)?;
            let state = match tape.and_then(|tape| Intermediate::from_tensors(tape.0)) {
                Some(state) => state,
                None => step.intermediate(&residual)?,
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
