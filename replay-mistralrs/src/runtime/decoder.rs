//! The engine's own weights as a differentiable decoder.
use std::sync::Arc;

use candle_core::{DType, Tensor, bail};
use mistralrs_core::forward_hook::ModelWeights;
use mistralrs_quant::QuantMethod;
use replay_core::Role;
use replay_core::decoder::{DecoderShape, DecoderWeights, LayerWeights, Linear, RotaryScaling, Sections, frequencies};
use serde_json::Value;

use crate::error::AttachError;
use crate::families::{DecoderProfile, Family};

/// Linear layers of one decoder layer, in the engine's order.
const LINEARS: usize = 7;

/// One decoder layer, as the engine holds it.
struct Stored {
    linears: [Arc<dyn QuantMethod>; LINEARS],
    biases: [Option<Tensor>; LINEARS],
    input_norm: Tensor,
    post_norm: Tensor,
    head_norms: Option<(Tensor, Tensor)>,
}

/// Handles on a loaded model's decoder: nothing is copied before a layer is used.
pub(crate) struct EngineDecoder {
    shape: DecoderShape,
    layers: Vec<Stored>,
    final_norm: Tensor,
    head: Arc<dyn QuantMethod>,
    /// `[head / 2]`, of the rotary positions.
    pub(crate) frequencies: Vec<f32>,
    pub(crate) sections: Sections,
    pub(crate) profile: &'static DecoderProfile,
    /// How many of the first layers have visual features added to their output.
    pub(crate) deepstack: usize,
    /// How many rows back the engine's attention looks; this decoder attends to all rows.
    pub(crate) window: Option<usize>,
}

impl EngineDecoder {
    /// # Errors
    /// If the family has no differentiable decoder, or the model lacks something that it needs.
    pub(crate) fn new(
        family: &'static Family,
        config: &Value,
        weights: &ModelWeights,
        role: Role,
    ) -> Result<Self, AttachError> {
        let profile = differentiable(family, config, role)?;
        let heads = family.size(config, "num_attention_heads")?;
        let head = match family.size(config, "head_dim") {
            Ok(head) => head,
            Err(_) => family.size(config, "hidden_size")? / heads,
        };
        let number = |name: &str| family.text_field(config, name).and_then(Value::as_f64);
        let missing = |what: &str| AttachError::Config(format!("config.json of the {role} model has no {what}"));
        let rope = rope(family, config);
        let in_rope = || rope.and_then(|rope| rope["rope_theta"].as_f64());
        let scaling = if profile.scales { scaling(rope) } else { RotaryScaling::None };
        let theta = number("rope_theta").or_else(in_rope).or_else(|| family.number(config, "rope_theta"));
        let sections = match profile.sections {
            Some(sections) => {
                let sizes = rope.and_then(|rope| rope["mrope_section"].as_array());
                let sizes = sizes.ok_or_else(|| missing("rope_scaling.mrope_section"))?;
                sections(sizes.iter().filter_map(Value::as_u64).map(|n| n as usize).collect())
            }
            // All frequencies rotate with the one position.
            None => Sections::Consecutive(Vec::new()),
        };
        // The Qwen families say a window and that it is not used.
        let used = family.text_field(config, "use_sliding_window") != Some(&Value::Bool(false));
        let window = match family.text_field(config, "sliding_window") {
            Some(Value::Null) => None,
            _ => family.number(config, "sliding_window").filter(|_| used).map(|window| window as usize),
        };
        let shape = DecoderShape {
            heads,
            key_value_heads: family.size(config, "num_key_value_heads")?,
            head,
            epsilon: number("rms_norm_eps").unwrap_or(1e-6),
        };
        Ok(Self {
            shape,
            layers: stored(profile, weights, role)?,
            final_norm: f32(tensor(weights, family.norm.weight, role)?)?,
            head: head_of(weights, role)?,
            frequencies: frequencies(head, theta.ok_or_else(|| missing("rope_theta"))?, scaling),
            sections,
            profile,
            deepstack: (profile.deepstack)(config),
            window,
        })
    }

    /// The precision of the engine's own arithmetic; this decoder's is f32.
    pub(crate) fn precision(&self) -> Precision {
        let of = |linear: &Arc<dyn QuantMethod>| match linear.unquant_weight_bias() {
            Some((weight, _)) if weight.dtype() == DType::F32 => Precision::Exact,
            Some(_) => Precision::Half,
            None => Precision::Quantised,
        };
        self.layers.iter().flat_map(|layer| &layer.linears).map(of).max().unwrap_or(Precision::Exact)
    }
}

fn rope<'a>(family: &Family, config: &'a Value) -> Option<&'a Value> {
    family.text_field(config, "rope_scaling").or_else(|| family.text_field(config, "rope_parameters"))
}

/// The decoder profile of a model that can be differentiated; checked before anything is loaded.
///
/// # Errors
/// If the family has no profile, or the configuration has an activation or rotary scaling that this decoder lacks.
pub(crate) fn differentiable(
    family: &Family,
    config: &Value,
    role: Role,
) -> Result<&'static DecoderProfile, AttachError> {
    let profile = family.decoder.ok_or_else(|| AttachError::NotDifferentiable {
        architecture: family.architecture,
        known: Family::differentiable(),
    })?;
    let activation = family.text_field(config, "hidden_act").and_then(Value::as_str);
    if activation.is_some_and(|activation| activation != "silu") {
        return Err(AttachError::Config(format!(
            "strategy \"learned\" needs hidden_act \"silu\"; the {role} model has {activation:?}"
        )));
    }
    let rope = rope(family, config);
    let scaled = rope.and_then(|rope| rope.get("rope_type").or_else(|| rope.get("type"))).and_then(Value::as_str);
    let known = |kind: &str| match kind {
        // What M-RoPE is called is no scaling.
        _ if profile.sections.is_some() => true,
        "llama3" | "linear" => profile.scales && scaling(rope) != RotaryScaling::None,
        kind => kind == "default",
    };
    if let Some(kind) = scaled.filter(|kind| !known(kind)) {
        return Err(AttachError::Config(format!(
            "strategy \"learned\" does not know the rotary scaling {kind:?} of the {role} model"
        )));
    }
    Ok(profile)
}

/// The rotary scaling of a configuration; none, if it lacks a number.
fn scaling(rope: Option<&Value>) -> RotaryScaling {
    let kind = rope.and_then(|rope| rope["rope_type"].as_str());
    let number = |name: &str| rope.and_then(|rope| rope[name].as_f64()).map(|number| number as f32);
    let llama3 = || {
        let (factor, low, high) = (number("factor")?, number("low_freq_factor")?, number("high_freq_factor")?);
        let original = number("original_max_position_embeddings")?;
        Some(RotaryScaling::Llama3 { factor, low, high, original })
    };
    let scaling = match kind {
        Some("llama3") => llama3(),
        Some("linear") => number("factor").map(|factor| RotaryScaling::Linear { factor }),
        _ => None,
    };
    scaling.unwrap_or(RotaryScaling::None)
}

/// The precision in which the engine computes, from the finest to the coarsest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Precision {
    /// f32, as this decoder.
    Exact,
    /// Half precision.
    Half,
    /// Quantised weights, and activations quantised on the way.
    Quantised,
}

fn head_of(weights: &ModelWeights, role: Role) -> Result<Arc<dyn QuantMethod>, AttachError> {
    let head = weights.linear.iter().find(|(_, layer)| layer.is_none()).map(|(head, _)| head.clone());
    head.ok_or_else(|| AttachError::Pipeline(format!("the {role} model has no head")))
}

fn tensor<'a>(weights: &'a ModelWeights, name: &str, role: Role) -> Result<&'a Tensor, AttachError> {
    let named = weights.residual.iter().find(|(known, _)| known == name).map(|(_, tensor)| tensor);
    named.ok_or_else(|| AttachError::Pipeline(format!("the {role} model has no tensor {name}")))
}

fn stored(profile: &DecoderProfile, weights: &ModelWeights, role: Role) -> Result<Vec<Stored>, AttachError> {
    let count = weights.linear.iter().filter_map(|(_, layer)| *layer).max().map_or(0, |last| last + 1);
    (0..count)
        .map(|layer| {
            let own = weights.linear.iter().filter(|(_, of)| *of == Some(layer)).map(|(linear, _)| linear.clone());
            let linears: Vec<_> = own.collect();
            let count = linears.len();
            let linears: [Arc<dyn QuantMethod>; LINEARS] = linears.try_into().map_err(|_| {
                AttachError::Pipeline(format!(
                    "layer {layer} of the {role} model: expected {LINEARS} linear layers, got {count}"
                ))
            })?;
            let name = |part: &str| format!("{}.{layer}.{part}.weight", profile.layers);
            let norm = |part: &str| -> Result<Tensor, AttachError> { Ok(f32(tensor(weights, &name(part), role)?)?) };
            let head_norms = match profile.head_norms {
                true => Some((norm("self_attn.q_norm")?, norm("self_attn.k_norm")?)),
                false => None,
            };
            let mut biases = [const { None }; LINEARS];
            for (slot, linear) in biases.iter_mut().zip(&linears) {
                *slot = bias(&**linear)?;
            }
            let (input_norm, post_norm) = (norm("input_layernorm")?, norm("post_attention_layernorm")?);
            Ok(Stored { linears, biases, input_norm, post_norm, head_norms })
        })
        .collect()
}

/// The bias of a linear layer: its output for a row of zeros, since some kinds of layer do not hand it out (quantised ones, and those that
/// could be split over devices).
fn bias(linear: &dyn QuantMethod) -> candle_core::Result<Option<Tensor>> {
    let (dtype, weight) = match linear.unquant_weight_bias() {
        Some((weight, _)) => (weight.dtype(), weight),
        None => (DType::F32, linear.dequantize_w()?),
    };
    let row = Tensor::zeros((1, 1, weight.dim(1)?), dtype, weight.device())?;
    let answer = f32(&linear.forward_autocast(&row)?.flatten_all()?)?;
    let largest = answer.abs()?.max(0)?.to_scalar::<f32>()?;
    Ok((largest > 0.0).then_some(answer))
}

fn f32(tensor: &Tensor) -> candle_core::Result<Tensor> {
    tensor.to_dtype(DType::F32)
}

fn linear(linear: &dyn QuantMethod, bias: Option<&Tensor>) -> candle_core::Result<Linear> {
    let weight = match linear.unquant_weight_bias() {
        Some((weight, _)) => weight,
        None => linear.dequantize_w()?,
    };
    Ok(Linear { weight: f32(&weight)?, bias: bias.cloned() })
}

impl DecoderWeights for EngineDecoder {
    fn shape(&self) -> &DecoderShape {
        &self.shape
    }

    fn layer(&self, layer: usize) -> candle_core::Result<LayerWeights> {
        let Some(stored) = self.layers.get(layer) else {
            bail!("decoder layer {layer} of {} is not loaded", self.layers.len())
        };
        let part = |index: usize| linear(&*stored.linears[index], stored.biases[index].as_ref());
        Ok(LayerWeights {
            input_norm: stored.input_norm.clone(),
            query: part(0)?,
            key: part(1)?,
            value: part(2)?,
            head_norms: stored.head_norms.clone(),
            output: part(3)?,
            post_norm: stored.post_norm.clone(),
            gate: part(4)?,
            up: part(5)?,
            down: part(6)?,
        })
    }

    fn final_norm(&self) -> &Tensor {
        &self.final_norm
    }

    /// A quantised head is dequantised for as long as it takes to pick the rows.
    fn head_rows(&self, tokens: &[u32]) -> candle_core::Result<Tensor> {
        let weight = match self.head.unquant_weight_bias() {
            Some((weight, _)) => weight,
            None => self.head.dequantize_w()?,
        };
        // Checked here, since a device other than a CPU would read past the end.
        let rows = weight.dim(0)?;
        if let Some(token) = tokens.iter().find(|token| **token as usize >= rows) {
            bail!("expected tokens below {rows}, the rows of the head, got {token}")
        }
        f32(&weight.index_select(&Tensor::new(tokens, weight.device())?, 0)?)
    }
}
