//! The engine's own final norm and head as a logit lens.
use std::sync::Arc;

use candle_core::{D, DType, Device, Tensor};
use mistralrs_core::forward_hook::ModelWeights;
use mistralrs_quant::QuantMethod;
use replay_core::Role;
use replay_core::lens::{LogitLens, soft_cap};
use serde_json::Value;

use crate::error::AttachError;
use crate::families::{Family, Head};

/// Final norm and head of a loaded model, sharing its weights.
pub(crate) struct EngineLens {
    /// The projections of every stream of a residual but the first, if it has several.
    unembed: Vec<Arc<dyn QuantMethod>>,
    /// The weight of the final norm, `[hidden]`.
    norm: Tensor,
    epsilon: f64,
    head: LensHead,
    soft_cap: Option<f64>,
    vocabulary: usize,
    dtype: DType,
}

enum LensHead {
    Layer(Arc<dyn QuantMethod>),
    /// `[vocabulary, hidden]`: a head that the engine does not hand out as a layer.
    Matrix(Tensor),
}

impl EngineLens {
    /// Finds norm and head by the family's profile, and tries them on one row.
    ///
    /// # Errors
    /// If one is missing, or the head has another width than the vocabulary.
    pub(crate) fn new(
        family: &Family,
        config: &Value,
        weights: &ModelWeights,
        dtype: DType,
        role: Role,
    ) -> Result<Self, AttachError> {
        let missing =
            |what: &str| AttachError::Pipeline(format!("the {role} model has no {what} that a lens could use"));
        let tensor = |name: &str| {
            let named = weights.residual.iter().find(|(known, _)| known == name);
            named.map(|(_, tensor)| tensor).ok_or_else(|| missing(name))
        };
        let outside = || weights.linear.iter().filter(|(_, layer)| layer.is_none()).map(|(linear, _)| linear.clone());
        let linear = || outside().next().map(LensHead::Layer).ok_or_else(|| missing("head"));
        let streams = family.streams(config)?;
        // Behind the head stand the projections that make the streams of an embedding, then those that undo it.
        let unembed: Vec<_> = outside().skip(streams).take(streams - 1).collect();
        if unembed.len() + 1 != streams {
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
        let lens = Self { unembed, norm, epsilon, head, soft_cap, vocabulary, dtype };
        let probe = |device: &Device| {
            let row = Tensor::zeros((1, streams * lens.norm.dim(0)?), dtype, device)?;
            lens.logits(&row)?.dim(1)
        };
        match probe(&device) {
            Ok(width) if width == vocabulary => Ok(lens),
            Ok(width) => Err(AttachError::Pipeline(format!(
                "the head of the {role} model has {width} rows, its configuration says {vocabulary}"
            ))),
            Err(e) => Err(AttachError::Pipeline(format!("the head of the {role} model does not run: {e}"))),
        }
    }

    /// Whether it computes in f32 with weights that are not quantised.
    pub(crate) fn is_exact(&self) -> bool {
        let quantised = matches!(&self.head, LensHead::Layer(layer) if layer.quantized_act_type().is_some());
        self.dtype == DType::F32 && !quantised
    }

    pub(crate) fn vocabulary_rows(&self) -> usize {
        self.vocabulary
    }
}

/// Root mean square of each row, in f32.
fn rms(x: &Tensor) -> candle_core::Result<Tensor> {
    x.to_dtype(DType::F32)?.sqr()?.mean_keepdim(D::Minus1)?.sqrt()
}

impl EngineLens {
    /// One stream of what may be several: the mean of the first and of the others, each projected and scaled to the first one's
    /// length, as the engine does it.
    ///
    /// # Shapes
    /// `residual`: `[rows, streams * hidden]`; returns `[rows, hidden]`.
    fn unembedded(&self, residual: &Tensor) -> candle_core::Result<Tensor> {
        if self.unembed.is_empty() {
            return Ok(residual.clone());
        }
        let streams = residual.chunk(self.unembed.len() + 1, 1)?;
        let length = rms(&streams[0])?;
        let mut sum = streams[0].to_dtype(DType::F32)?;
        for (stream, projection) in streams[1..].iter().zip(&self.unembed) {
            let stream = projection.forward_autocast(&stream.contiguous()?.unsqueeze(0)?)?.squeeze(0)?;
            let scale = length.broadcast_div(&rms(&stream)?.maximum(1e-8)?)?;
            let scaled = stream.to_dtype(DType::F32)?.broadcast_mul(&scale)?;
            // Rounded, as the engine hands it on.
            sum = (sum + scaled.to_dtype(stream.dtype())?.to_dtype(DType::F32)?)?;
        }
        (sum / streams.len() as f64)?.to_dtype(residual.dtype())
    }
}

impl LogitLens for EngineLens {
    fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// RMSNorm in f32, rounded to the model's precision before its weight, as the engine's layer does it.
    fn logits(&self, residual: &Tensor) -> candle_core::Result<Tensor> {
        let x = self.unembedded(&residual.to_device(self.norm.device())?)?.to_dtype(DType::F32)?;
        let variance = x.sqr()?.mean_keepdim(D::Minus1)?;
        let x = x.broadcast_div(&(variance + self.epsilon)?.sqrt()?)?;
        let x = x.to_dtype(self.dtype)?.broadcast_mul(&self.norm.to_dtype(self.dtype)?)?;
        let logits = match &self.head {
            LensHead::Layer(layer) => layer.forward_autocast(&x.unsqueeze(0)?)?.squeeze(0)?,
            LensHead::Matrix(weight) => x.to_dtype(weight.dtype())?.matmul(&weight.t()?)?,
        };
        match self.soft_cap {
            Some(cap) => soft_cap(&logits, cap),
            None => Ok(logits),
        }
    }
}
