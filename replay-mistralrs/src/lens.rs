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
    norm: Tensor,
    epsilon: f64,
    head: Arc<dyn QuantMethod>,
    vocabulary: usize,
    dtype: DType,
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
        let norm = weights.residual.iter().find(|(name, _)| name == family.final_norm);
        let (_, norm) = norm.ok_or_else(|| missing(family.final_norm))?;
        let head = match family.head {
            Head::Plain => weights.linear.iter().find(|(_, layer)| layer.is_none()).ok_or_else(|| missing("head"))?,
        };
        let epsilon = family.text_field(config, "rms_norm_eps").and_then(Value::as_f64).unwrap_or(1e-6);
        let vocabulary = family.size(config, "vocab_size")?;
        let lens = Self { norm: norm.clone(), epsilon, head: head.0.clone(), vocabulary, dtype };
        let probe = |device: &Device| {
            let row = Tensor::zeros((1, lens.norm.dim(0)?), dtype, device)?;
            lens.logits(&row)?.dim(1)
        };
        match probe(norm.device()) {
            Ok(width) if width == vocabulary => Ok(lens),
            Ok(width) => Err(AttachError::Pipeline(format!(
                "the head of the {role} model has {width} rows, its configuration says {vocabulary}"
            ))),
            Err(e) => Err(AttachError::Pipeline(format!("the head of the {role} model does not run: {e}"))),
        }
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
        self.head.forward_autocast(&x.unsqueeze(0)?)?.squeeze(0)
    }
}
