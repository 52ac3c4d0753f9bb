//! Loss and gradient of a delta.
//!
//! Nothing is computed that cannot change them: no layer after the last compared residual, no row after the last visual one, in the last
//! layer only the compared rows, of the head only the compared entries, and no weight gradient. Between forward and backward the residuals
//! are kept. The tapes of the layers are kept as long as they fit `activation_memory`; the others are computed again, one at a time.
use std::collections::BTreeMap;
use std::ops::Range;

use candle_core::Tensor;

use super::targets::Content;
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
    /// `[entries, hidden]`, the RLVR head at [`Targets::tokens`]; `None` if these are empty.
    head: Option<Tensor>,
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
    /// The mean over the selected rows of what the loss compares, per target: restricted KL(base || RLVR), or relative squared distance.
    pub terms: Vec<f32>,
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
        let head = match targets.tokens.is_empty() {
            true => None,
            false => Some(model.head_rows(&targets.tokens)?),
        };
        if let Some(head) = head.as_ref().filter(|head| head.dims().first() != Some(&targets.tokens.len())) {
            return Err(Error::size("rows of the head", targets.tokens.len(), format!("{:?}", head.dims())));
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
        let mut terms = BTreeMap::new();
        let mut gradients = BTreeMap::new();
        for layer in layers.clone() {
            self.compare(layer, &residual, with_gradient, &mut terms, &mut gradients)?;
            let (out, tape) = self.model.forward(layer, &residual, self.needed_rows(layer))?;
            if with_gradient {
                inputs.push(residual);
                tape_bytes += tape.bytes();
                tapes.push((tape_bytes <= self.activation_memory).then_some(tape));
            }
            residual = out;
        }
        self.compare(layers.end, &residual, with_gradient, &mut terms, &mut gradients)?;
        let scale = self.scale();
        let terms: Vec<f64> =
            self.targets.layers.iter().filter_map(|target| terms.get(&target.residual).copied()).collect();
        let gradient = if with_gradient { Some(self.backward(inputs, tapes, gradients)?) } else { None };
        let loss = terms.iter().sum::<f64>() * scale;
        Ok(Evaluation { loss, terms: terms.into_iter().map(|term| term as f32).collect(), gradient })
    }

    /// The rows of this layer's output that are needed; `None` means all.
    fn needed_rows(&self, layer: usize) -> Option<&SpanRows> {
        let last = layer + 1 == self.layers.end;
        self.by_residual.get(&(layer + 1)).filter(|_| last).map(|target| &target.rows)
    }

    fn scale(&self) -> f64 {
        if self.normalize { 1.0 / self.visual.elem_count() as f64 } else { 1.0 }
    }

    /// Adds what the loss compares at this residual to `terms`, and its gradient with respect to the selected rows to `gradients`, if the
    /// residual is compared.
    fn compare(
        &self,
        residual: usize,
        hidden: &Tensor,
        with_gradient: bool,
        terms: &mut BTreeMap<usize, f64>,
        gradients: &mut BTreeMap<usize, Tensor>,
    ) -> Result<()> {
        let Some(target) = self.by_residual.get(&residual) else { return Ok(()) };
        let layers = self.layers.clone();
        // The last layer computes the selected rows only.
        let only_selected = residual == layers.end && !layers.is_empty();
        let rows = if only_selected { hidden.clone() } else { select_rows(hidden, target.rows.as_slice())? };
        let weight = self.scale() / target.rows.len() as f64;
        let (term, gradient) = match &target.content {
            Content::Lens { entries, log_probabilities } => {
                self.divergence(&rows, entries, log_probabilities, weight, with_gradient)?
            }
            Content::Residual(states) => {
                let (distance, gradient) = states.compare(&rows, weight)?;
                (distance, Some(gradient))
            }
        };
        terms.insert(residual, term);
        gradients.extend(gradient.map(|gradient| (residual, gradient)));
        Ok(())
    }

    /// The mean restricted KL of the rows, and `weight` times the gradient of their sum with respect to `rows`.
    fn divergence(
        &self,
        rows: &Tensor,
        entries: &Tensor,
        log_probabilities: &[Vec<f64>],
        weight: f64,
        with_gradient: bool,
    ) -> Result<(f64, Option<Tensor>)> {
        let head = self.head.as_ref().ok_or_else(|| Error::size("rows of the head", "some", "none"))?;
        let normed = self.model.norm(rows)?.to_device(head.device())?;
        let logits = gathered::forward(&normed, head, entries)?.to_vec2::<f32>()?;
        let (count, top) = entries.dims2()?;
        let mut gradient = Vec::with_capacity(count * top);
        let each = log_probabilities.iter().zip(&logits);
        let sum: f64 = each.map(|(log_p, logits)| divergence::row(log_p, logits, weight, &mut gradient)).sum();
        if !with_gradient {
            return Ok((sum / count as f64, None));
        }
        let gradient = Tensor::from_vec(gradient, (count, top), head.device())?;
        let grad_normed = gathered::backward(&gradient, head, entries)?;
        Ok((sum / count as f64, Some(self.model.norm_backward(rows, &grad_normed)?)))
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
