//! The logit lens of a model, with the engine's own final norm and head.
use std::sync::Arc;

use candle_core::{D, DType, Device, Tensor};
use mistralrs_core::forward_hook::ModelWeights;
use mistralrs_quant::QuantMethod;
use replay_core::Role;
use replay_core::lens::{LogitLens, soft_cap};
use serde_json::Value;

use crate::error::AttachError;
use crate::families::{Family, Head};

/// Handles to the final norm and head of a loaded model.
#[derive(Clone)]
pub(crate) struct EngineLens {
    /// The projections of all streams but the first, in families whose residuals have several.
    stream_projections: Vec<Arc<dyn QuantMethod>>,
    /// The weight of the final norm, `[hidden]`.
    norm: Tensor,
    epsilon: f64,
    head: LensHead,
    soft_cap: Option<f64>,
    /// The entries that the head has.
    head_entries: usize,
    /// The entries that the lens gives, the first ones: those that both models of the pair have.
    vocabulary: usize,
    dtype: DType,
}

#[derive(Clone)]
enum LensHead {
    /// The head as a linear layer of the engine.
    Layer(Arc<dyn QuantMethod>),
    /// The head as a matrix `[vocabulary, hidden]`, where the engine does not expose it as a linear layer.
    Matrix(Tensor),
}

impl EngineLens {
    /// Finds norm and head by the family's profile, and runs them on one row.
    ///
    /// # Errors
    /// If one is missing, or the head does not have one row per vocabulary entry.
    pub(crate) fn new(
        family: &Family,
        config: &Value,
        weights: &ModelWeights,
        dtype: DType,
        role: Role,
    ) -> Result<Self, AttachError> {
        let missing =
            |what: &str| AttachError::Pipeline(format!("the {role} model has no {what}, which the logit lens needs"));
        let tensor = |name: &str| {
            let named = weights.residual.iter().find(|(known, _)| known == name);
            named.map(|(_, tensor)| tensor).ok_or_else(|| missing(name))
        };
        let outside_layers =
            || weights.linear.iter().filter(|(_, layer)| layer.is_none()).map(|(linear, _)| linear.clone());
        let linear = || outside_layers().next().map(LensHead::Layer).ok_or_else(|| missing("head"));
        let streams = family.streams(config)?;
        // After the head, the engine lists the projections that make the streams of an embedding, then those that merge the streams.
        let stream_projections: Vec<_> = outside_layers().skip(streams).take(streams - 1).collect();
        if stream_projections.len() + 1 != streams {
            return Err(missing("projection of each stream"));
        }
        let head = match family.head {
            Head::FirstLinear => linear()?,
            Head::Tensor(name) => LensHead::Matrix(tensor(name)?.clone()),
            Head::Tied(_) if family.text_field(config, "tie_word_embeddings") == Some(&Value::Bool(false)) => linear()?,
            Head::Tied(name) => LensHead::Matrix(tensor(name)?.clone()),
        };
        let norm = tensor(family.norm.weight)?.clone();
        let device = norm.device().clone();
        let norm = if family.norm.one_plus { (norm + 1.0)? } else { norm };
        let epsilon = family.number(config, "rms_norm_eps").unwrap_or(1e-6);
        let soft_cap = family.soft_cap.and_then(|name| family.text_field(config, name)).and_then(Value::as_f64);
        let vocabulary = family.size(config, "vocab_size")?;
        let lens =
            Self { stream_projections, norm, epsilon, head, soft_cap, head_entries: vocabulary, vocabulary, dtype };
        let probe_width = |device: &Device| {
            let row = Tensor::zeros((1, streams * lens.norm.dim(0)?), dtype, device)?;
            lens.logits(&row)?.dim(1)
        };
        match probe_width(&device) {
            Ok(width) if width == vocabulary => Ok(lens),
            Ok(width) => Err(AttachError::Pipeline(format!(
                "the head of the {role} model: expected {vocabulary} rows as its config.json says, got {width}"
            ))),
            Err(e) => Err(AttachError::Pipeline(format!("the head of the {role} model does not run: {e}"))),
        }
    }

    /// Whether the lens computes in f32 with weights that are not quantised.
    pub(crate) fn is_unquantised_f32(&self) -> bool {
        let quantised = matches!(&self.head, LensHead::Layer(layer) if layer.quantized_act_type().is_some());
        self.dtype == DType::F32 && !quantised
    }

    /// The number of vocabulary entries of the head.
    pub(crate) fn vocabulary_size(&self) -> usize {
        self.head_entries
    }

    /// The same lens over the first `common` entries: the others are padding, or tokens that the other model does not have.
    ///
    /// # Errors
    /// If the head cannot be cut.
    pub(crate) fn over(&self, common: usize) -> candle_core::Result<Self> {
        let head = match &self.head {
            LensHead::Matrix(weight) if common < self.vocabulary => LensHead::Matrix(weight.narrow(0, 0, common)?),
            head => head.clone(),
        };
        Ok(Self { head, vocabulary: common.min(self.vocabulary), ..self.clone() })
    }
}

/// The root mean square of each row, in f32.
fn root_mean_square(x: &Tensor) -> candle_core::Result<Tensor> {
    x.to_dtype(DType::F32)?.sqr()?.mean_keepdim(D::Minus1)?.sqrt()
}

impl EngineLens {
    /// Merges the streams of a residual into one as the engine does: the mean of the first stream and of the others, each projected and scaled
    /// to the root mean square of the first.
    ///
    /// # Shapes
    /// `residual`: `[rows, streams * hidden]`; returns `[rows, hidden]`.
    fn merge_streams(&self, residual: &Tensor) -> candle_core::Result<Tensor> {
        if self.stream_projections.is_empty() {
            return Ok(residual.clone());
        }
        let streams = residual.chunk(self.stream_projections.len() + 1, 1)?;
        let first_rms = root_mean_square(&streams[0])?;
        let mut sum = streams[0].to_dtype(DType::F32)?;
        for (stream, projection) in streams[1..].iter().zip(&self.stream_projections) {
            let stream = projection.forward_autocast(&stream.contiguous()?.unsqueeze(0)?)?.squeeze(0)?;
            let scale = first_rms.broadcast_div(&root_mean_square(&stream)?.maximum(1e-8)?)?;
            let scaled = stream.to_dtype(DType::F32)?.broadcast_mul(&scale)?;
            // Rounded to the model's precision, as in the engine.
            sum = (sum + scaled.to_dtype(stream.dtype())?.to_dtype(DType::F32)?)?;
        }
        (sum / streams.len() as f64)?.to_dtype(residual.dtype())
    }
}

impl LogitLens for EngineLens {
    fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// Applies RMSNorm in f32 and rounds to the model's precision before multiplying by the norm's weight, as the engine does.
    fn logits(&self, residual: &Tensor) -> candle_core::Result<Tensor> {
        let x = self.merge_streams(&residual.to_device(self.norm.device())?)?.to_dtype(DType::F32)?;
        let variance = x.sqr()?.mean_keepdim(D::Minus1)?;
        let x = x.broadcast_div(&(variance + self.epsilon)?.sqrt()?)?;
        let x = x.to_dtype(self.dtype)?.broadcast_mul(&self.norm.to_dtype(self.dtype)?)?;
        let logits = match &self.head {
            LensHead::Layer(layer) => {
                let logits = layer.forward_autocast(&x.unsqueeze(0)?)?.squeeze(0)?;
                if self.vocabulary < self.head_entries {
                    logits.narrow(1, 0, self.vocabulary)?.contiguous()?
                } else {
                    logits
                }
            }
            LensHead::Matrix(weight) => x.to_dtype(weight.dtype())?.matmul(&weight.t()?)?,
        };
        match self.soft_cap {
            Some(cap) => soft_cap(&logits, cap),
            None => Ok(logits),
        }
    }
}
