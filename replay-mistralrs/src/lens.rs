//! The engine's own final norm and head as a logit lens.
use std::sync::Arc;

use candle_core::{D, DType, Device, Tensor};
use mistralrs_core::forward_hook::ModelWeights;
use mistralrs_quant::QuantMethod;
use replay_core::Role;
use replay_core::lens::LogitLens;
use serde_json::Value;

use crate::error::AttachError;
use crate::families::{Family, Head};

/// Final norm and head of a loaded model, sharing its weights.
pub(crate) struct EngineLens {
    /// The factor of each channel.
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
            let found = weights.residual.iter().find(|(known, _)| known == name);
            found.map(|(_, tensor)| tensor).ok_or_else(|| missing(name))
        };
        let linear = || {
            let found = weights.linear.iter().find(|(_, layer)| layer.is_none());
            found.map(|(head, _)| LensHead::Layer(head.clone())).ok_or_else(|| missing("head"))
        };
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
        let lens = Self { norm, epsilon, head, soft_cap, vocabulary, dtype };
        let probe = |device: &Device| {
            let row = Tensor::zeros((1, lens.norm.dim(0)?), dtype, device)?;
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

    /// Whether it rounds nothing that the model does not.
    pub(crate) fn is_exact(&self) -> bool {
        let quantised = matches!(&self.head, LensHead::Layer(layer) if layer.quantized_act_type().is_some());
        self.dtype == DType::F32 && !quantised
    }

    pub(crate) fn vocabulary_rows(&self) -> usize {
        self.vocabulary
    }
}

impl LogitLens for EngineLens {
    fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// RMSNorm in f32, rounded to the model's precision before its weight, as the engine's layer does it.
    fn logits(&self, residual: &Tensor) -> candle_core::Result<Tensor> {
        let x = residual.to_device(self.norm.device())?.to_dtype(DType::F32)?;
        let variance = x.sqr()?.mean_keepdim(D::Minus1)?;
        let x = x.broadcast_div(&(variance + self.epsilon)?.sqrt()?)?;
        let x = x.to_dtype(self.dtype)?.broadcast_mul(&self.norm.to_dtype(self.dtype)?)?;
        let logits = match &self.head {
            LensHead::Layer(layer) => layer.forward_autocast(&x.unsqueeze(0)?)?.squeeze(0)?,
            LensHead::Matrix(weight) => x.to_dtype(weight.dtype())?.matmul(&weight.t()?)?,
        };
        match self.soft_cap {
            Some(cap) => (logits.to_dtype(DType::F32)? / cap)?.tanh()? * cap,
            None => Ok(logits),
        }
    }
}
