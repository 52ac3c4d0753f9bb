//! One decoder layer: `middle = x + output(attention(norm(x)))`, `middle + down(silu(gate(norm(middle))) * up(norm(middle)))`.
use candle_core::{Result, Tensor};

use super::attention::{self, Seen};
use super::weights::{DecoderShape, LayerWeights};
use super::{Rotary, kernel, mlp};
use crate::rows::select_rows;

/// One layer over some rows.
pub(super) struct Layer<'a> {
    pub(super) shape: &'a DecoderShape,
    pub(super) weights: &'a LayerWeights,
    /// The angles of the rows.
    pub(super) rotary: &'a Rotary,
    /// Keys and values of the rows before these, `[key/value heads, rows before, head]` each.
    pub(super) in_front: Option<&'a (Tensor, Tensor)>,
    /// The rows whose output is wanted, by their index; `None` means all.
    pub(super) selected: Option<&'a [usize]>,
}

/// Everything that the backward needs besides the input; as a list of tensors it is the layer's tape.
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

    /// `None` if these are not the tensors of a tape.
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
    /// The forward up to the projections of the feed-forward part.
    ///
    /// # Shapes
    /// `x`: `[rows, hidden]`.
    pub(super) fn intermediate(&self, x: &Tensor) -> Result<Intermediate> {
        let (shape, weights) = (self.shape, self.weights);
        let normed = kernel::rms_norm(x, &weights.input_norm, shape.epsilon)?;
        let (queries, raw_queries) = self.queries(&self.pick(&normed)?)?;
        let (keys, values, raw_keys) = self.keys_values(&normed)?;
        let attended = self.with_seen(&keys, &values, |seen| attention::forward(&queries, seen))?;
        let middle = (self.pick(x)? + weights.output.forward(&from_heads(&attended)?)?)?;
        let normed = kernel::rms_norm(&middle, &weights.post_norm, shape.epsilon)?;
        let (gate, up) = mlp::projections(weights, &normed)?;
        Ok(Intermediate { raw: raw_queries.zip(raw_keys), queries, keys, values, middle, gate, up })
    }

    /// The rest of the forward: the layer's output.
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
        let to_normed = mlp::backward(weights, &state.gate, &state.up, gradient)?;
        let to_middle =
            (gradient + kernel::rms_norm_backward(&state.middle, &weights.post_norm, shape.epsilon, &to_normed)?)?;

        let to_attended = to_heads(&weights.output.backward(&to_middle)?, shape.heads)?;
        let (to_queries, to_keys, to_values) =
            self.with_seen(&state.keys, &state.values, |seen| attention::backward(&state.queries, seen, &to_attended))?;
        let to_queries = self.queries_rotary()?.backward(&to_queries)?;
        let to_keys = self.rotary.backward(&to_keys)?;
        let (to_queries, to_keys) = match (&weights.head_norms, &state.raw) {
            (Some((query_norm, key_norm)), Some((queries, keys))) => (
                kernel::rms_norm_backward(queries, query_norm, shape.epsilon, &to_queries)?,
                kernel::rms_norm_backward(keys, key_norm, shape.epsilon, &to_keys)?,
            ),
            _ => (to_queries, to_keys),
        };

        let from_queries = weights.query.backward(&from_heads(&to_queries)?)?;
        let from_keys = weights.key.backward(&from_heads(&to_keys)?)?;
        let to_normed = (from_keys + weights.value.backward(&from_heads(&to_values)?)?)?;
        let to_normed = self.spread(to_normed, &from_queries)?;
        self.spread(kernel::rms_norm_backward(x, &weights.input_norm, shape.epsilon, &to_normed)?, &to_middle)
    }

    /// Keys and values of rows that are the same in every pass.
    ///
    /// # Shapes
    /// `x`: `[rows, hidden]`; returns `[key/value heads, rows, head]` twice.
    pub(super) fn constants(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
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

    /// Norm and rotation of a projection; the projection itself is returned too where the backward of its norm needs it.
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

    fn with_seen<T>(&self, keys: &Tensor, values: &Tensor, f: impl FnOnce(&Seen<'_>) -> Result<T>) -> Result<T> {
        let rows = keys.dim(1)?;
        let constant = self.in_front.map_or(Ok(0), |(keys, _)| keys.dim(1))?;
        let visible: Vec<usize> = match self.selected {
            Some(selected) => selected.iter().map(|row| constant + row + 1).collect(),
            None => (0..rows).map(|row| constant + row + 1).collect(),
        };
        let joined = |front: Option<&Tensor>, own: &Tensor| match front {
            Some(front) => Tensor::cat(&[front, own], 1),
            None => own.contiguous(),
        };
        let keys = joined(self.in_front.map(|(keys, _)| keys), keys)?;
        let values = joined(self.in_front.map(|(_, values)| values), values)?;
        f(&Seen { keys: &keys, values: &values, visible: &visible, constant })
    }

    fn pick(&self, x: &Tensor) -> Result<Tensor> {
        match self.selected {
            Some(rows) => select_rows(x, rows),
            None => Ok(x.clone()),
        }
    }

    /// `all + part`, where `part` has the selected rows.
    fn spread(&self, all: Tensor, part: &Tensor) -> Result<Tensor> {
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
