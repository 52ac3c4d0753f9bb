//! Loss and gradient of a delta.
//!
//! Nothing is computed that cannot change them: no layer after the last compared residual, no row after the last visual one, in the last
//! layer only the compared rows, of the head only the compared entries, and no weight gradient. Between forward and backward the residuals
//! are kept. The tapes of the layers are kept as long as they fit `activation_memory`; the others are computed again, one at a time.
use std::collections::BTreeMap;
use std::ops::Range;

use candle_core::Tensor;

use super::{Differentiable, Tape, Target, Targets, divergence, gathered};
use crate::error::{Error, Result};
use crate::rows::{SpanRows, select_rows};
use crate::yielding::yield_now;

/// The loss of one prompt as a function of its delta.
pub struct Objective<'a> {
    model: &'a dyn Differentiable,
    targets: &'a Targets,
    /// The layers between the residual where the delta is added and the last one that is compared.
    layers: Range<usize>,
    by_residual: BTreeMap<usize, &'a Target>,
    /// `[entries, hidden]`, the RLVR head at [`Targets::tokens`].
    head: Tensor,
    /// The visual rows, counted from the first row of the span, `[visual rows]`, u32.
    visual: Tensor,
    normalize: bool,
    activation_memory: u64,
}

impl std::fmt::Debug for Objective<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Objective").field("targets", &self.targets.layers.len()).finish_non_exhaustive()
    }
}

/// The loss of a delta, and its gradient.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// The loss.
    pub loss: f64,
    /// Mean restricted KL(base || RLVR) over the selected rows, per target.
    pub kl: Vec<f32>,
    /// The gradient of the loss, `[visual rows, hidden]`; `None` if it was not asked for.
    pub gradient: Option<Tensor>,
}

impl<'a> Objective<'a> {
    /// The loss of a delta at the rows `visual`, divided by their number if `normalize`. Tapes may take `activation_memory` bytes.
    ///
    /// # Errors
    /// If the head lacks an entry of the targets.
    pub fn new(
        model: &'a dyn Differentiable,
        targets: &'a Targets,
        visual: &SpanRows,
        normalize: bool,
        activation_memory: u64,
    ) -> Result<Self> {
        let rows: Vec<u32> = visual.as_slice().iter().map(|&row| row as u32).collect();
        let start = model.layers().start;
        let head = model.head_rows(&targets.tokens)?;
        if head.dim(0)? != targets.tokens.len() {
            return Err(Error::size("rows of the head", targets.tokens.len(), head.dim(0)?));
        }
        Ok(Self {
            model,
            targets,
            layers: start..targets.last_residual().unwrap_or(start),
            by_residual: targets.layers.iter().map(|target| (target.residual, target)).collect(),
            head,
            visual: Tensor::new(rows, model.input().device())?,
            normalize,
            activation_memory,
        })
    }

    /// A delta of zeros, `[visual rows, hidden]`.
    ///
    /// # Errors
    /// Those of the tensor library.
    pub fn zero(&self) -> Result<Tensor> {
        let input = self.model.input();
        Ok(Tensor::zeros((self.visual.dim(0)?, input.dim(1)?), input.dtype(), input.device())?)
    }

    /// The loss of a delta, and its gradient if that is asked for.
    ///
    /// # Shapes
    /// `delta`: `[visual rows, hidden]`.
    ///
    /// # Errors
    /// [`Error::Size`] if the delta has another shape; those of the model's layers.
    pub fn evaluate(&self, delta: &Tensor, with_gradient: bool) -> Result<Evaluation> {
        let expected = [self.visual.dim(0)?, self.model.input().dim(1)?];
        if delta.dims() != expected {
            return Err(Error::size("delta", format!("{expected:?}"), format!("{:?}", delta.dims())));
        }
        let layers = self.layers.clone();
        let mut residual = self.model.input().index_add(&self.visual, delta, 0)?;
        let (mut inputs, mut tapes) = (Vec::new(), Vec::new());
        let mut tape_bytes = 0;
        let mut kl = BTreeMap::new();
        let mut gradients = BTreeMap::new();
        for layer in layers.clone() {
            self.compare(layer, &residual, with_gradient, &mut kl, &mut gradients)?;
            let (out, tape) = self.model.forward(layer, &residual, self.needed_rows(layer))?;
            if with_gradient {
                inputs.push(residual);
                tape_bytes += tape.bytes();
                tapes.push((tape_bytes <= self.activation_memory).then_some(tape));
            }
            residual = out;
        }
        self.compare(layers.end, &residual, with_gradient, &mut kl, &mut gradients)?;
        let scale = self.scale();
        let kl: Vec<f64> = self.targets.layers.iter().filter_map(|target| kl.get(&target.residual).copied()).collect();
        let gradient = if with_gradient { Some(self.backward(inputs, tapes, gradients)?) } else { None };
        let loss = kl.iter().sum::<f64>() * scale;
        Ok(Evaluation { loss, kl: kl.into_iter().map(|kl| kl as f32).collect(), gradient })
    }

    /// The rows of this layer's output that are needed; `None` means all.
    fn needed_rows(&self, layer: usize) -> Option<&SpanRows> {
        let last = layer + 1 == self.layers.end;
        self.by_residual.get(&(layer + 1)).filter(|_| last).map(|target| &target.rows)
    }

    fn scale(&self) -> f64 {
        if self.normalize { 1.0 / self.visual.elem_count() as f64 } else { 1.0 }
    }

    /// Adds the divergence at this residual to `kl`, and its gradient with respect to the selected rows to `gradients`, if the residual is
    /// compared.
    fn compare(
        &self,
        residual: usize,
        hidden: &Tensor,
        with_gradient: bool,
        kl: &mut BTreeMap<usize, f64>,
        gradients: &mut BTreeMap<usize, Tensor>,
    ) -> Result<()> {
        let Some(target) = self.by_residual.get(&residual) else { return Ok(()) };
        let layers = self.layers.clone();
        // The last layer computes the selected rows only.
        let only_selected = residual == layers.end && !layers.is_empty();
        let rows = if only_selected { hidden.clone() } else { select_rows(hidden, target.rows.as_slice())? };
        let normed = self.model.norm(&rows)?.to_device(self.head.device())?;
        let logits = gathered::forward(&normed, &self.head, &target.entries)?.to_vec2::<f32>()?;
        let (count, top) = (target.rows.len(), target.entries.dim(1)?);
        let weight = self.scale() / count as f64;
        let mut gradient = Vec::with_capacity(count * top);
        let terms = target.log_probabilities.iter().zip(&logits);
        let sum: f64 = terms.map(|(log_p, logits)| divergence::row(log_p, logits, weight, &mut gradient)).sum();
        kl.insert(residual, sum / count as f64);
        if with_gradient {
            let gradient = Tensor::from_vec(gradient, (count, top), self.head.device())?;
            let grad_normed = gathered::backward(&gradient, &self.head, &target.entries)?;
            gradients.insert(residual, self.model.norm_backward(&rows, &grad_normed)?);
        }
        Ok(())
    }

    /// The gradient with respect to the delta, from those with respect to the compared residuals' selected rows.
    fn backward(
        &self,
        mut inputs: Vec<Tensor>,
        mut tapes: Vec<Option<Tape>>,
        mut gradients: BTreeMap<usize, Tensor>,
    ) -> Result<Tensor> {
        let layers = self.layers.clone();
        let mut gradient = match (gradients.remove(&layers.end), self.by_residual.get(&layers.end)) {
            (Some(part), _) if !layers.is_empty() => part,
            (Some(part), Some(target)) => add_rows(&self.model.input().zeros_like()?, &target.rows, &part)?,
            _ => self.model.input().zeros_like()?,
        };
        for layer in layers.rev() {
            let (Some(input), Some(tape)) = (inputs.pop(), tapes.pop()) else { break };
            gradient = self.model.backward(layer, &input, self.needed_rows(layer), tape, &gradient)?;
            if let (Some(part), Some(target)) = (gradients.remove(&layer), self.by_residual.get(&layer)) {
                gradient = add_rows(&gradient, &target.rows, &part)?;
            }
        }
        Ok(gradient.to_device(self.visual.device())?.index_select(&self.visual, 0)?)
    }
}

/// `all` with `part` added at some rows.
fn add_rows(all: &Tensor, rows: &SpanRows, part: &Tensor) -> candle_core::Result<Tensor> {
    if rows.len() == all.dim(0)? {
        return all + part.to_device(all.device())?;
    }
    let rows: Vec<u32> = rows.as_slice().iter().map(|&row| row as u32).collect();
    all.index_add(&Tensor::new(rows, all.device())?, &part.to_device(all.device())?, 0)
}

/// Runs a model's layers without a delta and keeps some residuals, `[rows, hidden]` each. Yields after each layer.
///
/// # Errors
/// Those of the model's layers.
pub(crate) async fn clean_residuals(model: &dyn Differentiable, wanted: &[usize]) -> Result<BTreeMap<usize, Tensor>> {
    let layers = model.layers();
    let mut residual = model.input().clone();
    let mut kept = BTreeMap::new();
    for layer in layers.clone() {
        let (next, _) = model.forward(layer, &residual, None)?;
        if wanted.contains(&layer) {
            kept.insert(layer, residual);
        }
        residual = next;
        yield_now().await;
    }
    if wanted.contains(&layers.end) {
        kept.insert(layers.end, residual);
    }
    Ok(kept)
}

/// The output of `layer` at some rows, `[rows, hidden]`, computed as [`Objective`] computes the last layer, so that the bits are equal.
/// `None` if `residuals` lacks the layer's input.
///
/// # Errors
/// Those of the layer.
pub(crate) fn last_rows(
    model: &dyn Differentiable,
    layer: usize,
    residuals: &BTreeMap<usize, Tensor>,
    rows: &SpanRows,
) -> Result<Option<Tensor>> {
    residuals.get(&layer).map(|residual| Ok(model.forward(layer, residual, Some(rows))?.0)).transpose()
}
