//! One decoder layer: `middle = x + output(attention(norm(x)))`, `middle + down(silu(gate(norm(middle))) * up(norm(middle)))`.
use candle_core::{Result, Tensor};

use super::attention::{self, KeysValues};
use super::weights::{DecoderShape, LayerWeights};
use super::{Rotary, kernel, mlp};
use crate::rows::select_rows;

/// One layer over some rows.
pub(super) struct Layer<'a> {
    pub(super) shape: &'a DecoderShape,
    pub(super) weights: &'a LayerWeights,
    /// The rotary embedding of the rows.
    pub(super) rotary: &'a Rotary,
    /// Keys and values of the rows before these, `[key/value heads, rows before, head]` each.
    pub(super) earlier: Option<&'a (Tensor, Tensor)>,
    /// The rows whose output is computed, by their index; `None` means all.
    pub(super) selected: Option<&'a [usize]>,
}

/// The values besides the input that the backward needs. As a list of tensors they are the layer's tape.
pub(super) struct Intermediate {
    /// Projections before their norms and rotation, `[heads, rows, head]`; only in families with head norms.
    raw: Option<(Tensor, Tensor)>,
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    /// The residual between attention and feed-forward, `[selected, hidden]`.
    middle: Tensor,
    gate: Tensor,
    up: Tensor,
}

impl Intermediate {
    pub(super) fn into_tensors(self) -> Vec<Tensor> {
        let mut tensors = vec![self.queries, self.keys, self.values, self.middle, self.gate, self.up];
        tensors.extend(self.raw.into_iter().flat_map(|(queries, keys)| [queries, keys]));
        tensors
    }

    /// The intermediate values of a tape; `None` if tensors are missing.
    pub(super) fn from_tensors(tensors: Vec<Tensor>) -> Option<Self> {
        let mut tensors = tensors.into_iter();
        let mut next = || tensors.next();
        let (queries, keys, values) = (next()?, next()?, next()?);
        let (middle, gate, up) = (next()?, next()?, next()?);
        let raw = next().and_then(|queries| Some((queries, next()?)));
        Some(Self { raw, queries, keys, values, middle, gate, up })
    }
}

impl Layer<'_> {
    /// Runs the forward up to the projections of the feed-forward part.
    ///
    /// # Shapes
    /// `x`: `[rows, hidden]`.
    pub(super) fn intermediate(&self, x: &Tensor) -> Result<Intermediate> {
        let (shape, weights) = (self.shape, self.weights);
        let normed = kernel::rms_norm(x, &weights.input_norm, shape.epsilon)?;
        let (queries, raw_queries) = self.queries(&self.select(&normed)?)?;
        let (keys, values, raw_keys) = self.keys_values(&normed)?;
        let attended = self.with_keys_values(&keys, &values, |cache| attention::forward(&queries, cache))?;
        let middle = (self.select(x)? + weights.output.forward(&from_heads(&attended)?)?)?;
        let normed = kernel::rms_norm(&middle, &weights.post_norm, shape.epsilon)?;
        let (gate, up) = mlp::projections(weights, &normed)?;
        Ok(Intermediate { raw: raw_queries.zip(raw_keys), queries, keys, values, middle, gate, up })
    }

    /// Runs the rest of the forward and returns the layer's output.
    ///
    /// # Shapes
    /// Returns `[selected, hidden]`.
    pub(super) fn output(&self, state: &Intermediate) -> Result<Tensor> {
        &state.middle + mlp::output(self.weights, &state.gate, &state.up)?
    }

    /// The gradient with respect to `x` of `sum(gradient * output)`.
    ///
    /// # Shapes
    /// `x`: `[rows, hidden]`, `gradient`: `[selected, hidden]`; returns `[rows, hidden]`.
    pub(super) fn backward(&self, x: &Tensor, state: &Intermediate, gradient: &Tensor) -> Result<Tensor> {
        let (shape, weights) = (self.shape, self.weights);
        let grad_normed = mlp::backward(weights, &state.gate, &state.up, gradient)?;
        let grad_middle =
            (gradient + kernel::rms_norm_backward(&state.middle, &weights.post_norm, shape.epsilon, &grad_normed)?)?;

        let grad_attended = to_heads(&weights.output.backward(&grad_middle)?, shape.heads)?;
        let (grad_queries, grad_keys, grad_values) = self.with_keys_values(&state.keys, &state.values, |cache| {
            attention::backward(&state.queries, cache, &grad_attended)
        })?;
        let grad_queries = self.queries_rotary()?.backward(&grad_queries)?;
        let grad_keys = self.rotary.backward(&grad_keys)?;
        let (grad_queries, grad_keys) = match (&weights.head_norms, &state.raw) {
            (Some((query_norm, key_norm)), Some((queries, keys))) => (
                kernel::rms_norm_backward(queries, query_norm, shape.epsilon, &grad_queries)?,
                kernel::rms_norm_backward(keys, key_norm, shape.epsilon, &grad_keys)?,
            ),
            _ => (grad_queries, grad_keys),
        };

        let from_queries = weights.query.backward(&from_heads(&grad_queries)?)?;
        let from_keys = weights.key.backward(&from_heads(&grad_keys)?)?;
        let grad_normed = (from_keys + weights.value.backward(&from_heads(&grad_values)?)?)?;
        let grad_normed = self.add_selected(grad_normed, &from_queries)?;
        self.add_selected(kernel::rms_norm_backward(x, &weights.input_norm, shape.epsilon, &grad_normed)?, &grad_middle)
    }

    /// Keys and values of rows that do not change between passes.
    ///
    /// # Shapes
    /// `x`: `[rows, hidden]`; returns `[key/value heads, rows, head]` twice.
    pub(super) fn constant_keys_values(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let normed = kernel::rms_norm(x, &self.weights.input_norm, self.shape.epsilon)?;
        let (keys, values, _) = self.keys_values(&normed)?;
        Ok((keys, values))
    }

    fn queries(&self, normed: &Tensor) -> Result<(Tensor, Option<Tensor>)> {
        let raw = to_heads(&self.weights.query.forward(normed)?, self.shape.heads)?;
        let norm = self.weights.head_norms.as_ref().map(|(norm, _)| norm);
        self.rotated(raw, norm, &self.queries_rotary()?)
    }

    fn keys_values(&self, normed: &Tensor) -> Result<(Tensor, Tensor, Option<Tensor>)> {
        let heads = self.shape.key_value_heads;
        let raw = to_heads(&self.weights.key.forward(normed)?, heads)?;
        let norm = self.weights.head_norms.as_ref().map(|(_, norm)| norm);
        let (keys, raw) = self.rotated(raw, norm, self.rotary)?;
        Ok((keys, to_heads(&self.weights.value.forward(normed)?, heads)?, raw))
    }

    /// Applies norm and rotation to a projection. Also returns the projection itself, where the backward of the norm needs it.
    fn rotated(&self, raw: Tensor, norm: Option<&Tensor>, rotary: &Rotary) -> Result<(Tensor, Option<Tensor>)> {
        match norm {
            Some(norm) => Ok((rotary.forward(&kernel::rms_norm(&raw, norm, self.shape.epsilon)?)?, Some(raw))),
            None => Ok((rotary.forward(&raw)?, None)),
        }
    }

    fn queries_rotary(&self) -> Result<Rotary> {
        match self.selected {
            Some(rows) => self.rotary.select(rows),
            None => Ok(self.rotary.clone()),
        }
    }

    /// Calls `f` with the keys and values of earlier rows and of these rows.
    fn with_keys_values<T>(
        &self,
        keys: &Tensor,
        values: &Tensor,
        f: impl FnOnce(&KeysValues<'_>) -> Result<T>,
    ) -> Result<T> {
        let rows = keys.dim(1)?;
        let constant = self.earlier.map_or(Ok(0), |(keys, _)| keys.dim(1))?;
        let visible: Vec<usize> = match self.selected {
            Some(selected) => selected.iter().map(|row| constant + row + 1).collect(),
            None => (0..rows).map(|row| constant + row + 1).collect(),
        };
        let joined = |earlier: Option<&Tensor>, own: &Tensor| match earlier {
            Some(earlier) => Tensor::cat(&[earlier, own], 1),
            None => own.contiguous(),
        };
        let keys = joined(self.earlier.map(|(keys, _)| keys), keys)?;
        let values = joined(self.earlier.map(|(_, values)| values), values)?;
        f(&KeysValues { keys: &keys, values: &values, visible: &visible, constant })
    }

    /// The selected rows of `x`.
    fn select(&self, x: &Tensor) -> Result<Tensor> {
        match self.selected {
            Some(rows) => select_rows(x, rows),
            None => Ok(x.clone()),
        }
    }

    /// `all` with `part` added at the selected rows.
    fn add_selected(&self, all: Tensor, part: &Tensor) -> Result<Tensor> {
        let Some(rows) = self.selected else { return all + part };
        let rows: Vec<u32> = rows.iter().map(|&row| row as u32).collect();
        all.index_add(&Tensor::new(rows, all.device())?, part, 0)
    }
}

/// `[rows, heads * head]` to `[heads, rows, head]`.
fn to_heads(x: &Tensor, heads: usize) -> Result<Tensor> {
    let (rows, width) = x.dims2()?;
    x.reshape((rows, heads, width / heads))?.transpose(0, 1)?.contiguous()
}

/// `[heads, rows, head]` to `[rows, heads * head]`.
fn from_heads(x: &Tensor) -> Result<Tensor> {
    let (heads, rows, head) = x.dims3()?;
    x.transpose(0, 1)?.contiguous()?.reshape((rows, heads * head))
}
