//! The differentiable decoder over the engine's own weights.
use std::sync::Arc;

use candle_core::{DType, Tensor, bail};
use mistralrs_core::forward_hook::ModelWeights;
use mistralrs_quant::QuantMethod;
use replay_core::Role;
use replay_core::decoder::{DecoderShape, DecoderWeights, LayerWeights, Linear, RotaryScaling, Sections, frequencies};
use serde_json::Value;

use crate::error::AttachError;
use crate::families::{DecoderProfile, Family};

/// The number of linear layers in a decoder layer: query, key, value, output, gate, up, down.
const LINEARS: usize = 7;

/// The weights of one decoder layer, as the engine holds them.
struct EngineLayer {
    linears: [Arc<dyn QuantMethod>; LINEARS],
    biases: [Option<Tensor>; LINEARS],
    input_norm: Tensor,
    post_norm: Tensor,
    head_norms: Option<(Tensor, Tensor)>,
}

/// Handles to the decoder weights of a loaded model. A layer is converted to f32 only when it is used.
pub(crate) struct EngineDecoder {
    shape: DecoderShape,
    layers: Vec<EngineLayer>,
    final_norm: Tensor,
    head: Arc<dyn QuantMethod>,
    /// The rotary frequencies, `[head / 2]`.
    pub(crate) frequencies: Vec<f32>,
    pub(crate) sections: Sections,
    pub(crate) profile: &'static DecoderProfile,
    /// The number of first layers that have visual features added to their output.
    pub(crate) deepstack: usize,
    /// The engine's attention window in rows; the differentiable decoder attends to all rows.
    pub(crate) attention_window: Option<usize>,
}

impl EngineDecoder {
    /// Collects the weights and parameters of a loaded model.
    ///
    /// # Errors
    /// If the family has no differentiable decoder, or the model lacks a weight or parameter.
    pub(crate) fn new(
        family: &'static Family,
        config: &Value,
        weights: &ModelWeights,
        role: Role,
    ) -> Result<Self, AttachError> {
        let profile = differentiable_profile(family, config, role)?;
        let heads = family.size(config, "num_attention_heads")?;
        let head = match family.size(config, "head_dim") {
            Ok(head) => head,
            Err(_) => family.size(config, "hidden_size")? / heads,
        };
        let number = |name: &str| family.text_field(config, name).and_then(Value::as_f64);
        let missing = |what: &str| AttachError::Config(format!("config.json of the {role} model has no {what}"));
        let rope = rope_parameters(family, config);
        let in_rope = || rope.and_then(|rope| rope["rope_theta"].as_f64());
        let scaling = if profile.scales { rotary_scaling(rope) } else { RotaryScaling::None };
        let theta = number("rope_theta").or_else(in_rope).or_else(|| family.number(config, "rope_theta"));
        let sections = match profile.sections {
            Some(sections) => {
                let sizes = rope.and_then(|rope| rope["mrope_section"].as_array());
                let sizes = sizes.ok_or_else(|| missing("rope_scaling.mrope_section"))?;
                sections(sizes.iter().filter_map(Value::as_u64).map(|n| n as usize).collect())
            }
            // Without sections all frequencies use the one position.
            None => Sections::Consecutive(Vec::new()),
        };
        // The Qwen families configure a window together with a field that says it is not used.
        let uses_window = family.text_field(config, "use_sliding_window") != Some(&Value::Bool(false));
        let attention_window = match family.text_field(config, "sliding_window") {
            Some(Value::Null) => None,
            _ => family.number(config, "sliding_window").filter(|_| uses_window).map(|window| window as usize),
        };
        let shape = DecoderShape {
            heads,
            key_value_heads: family.size(config, "num_key_value_heads")?,
            head,
            epsilon: number("rms_norm_eps").unwrap_or(1e-6),
        };
        Ok(Self {
            shape,
            layers: collect_layers(profile, weights, role)?,
            final_norm: to_f32(find_tensor(weights, family.norm.weight, role)?)?,
            head: find_head(weights, role)?,
            frequencies: frequencies(head, theta.ok_or_else(|| missing("rope_theta"))?, scaling),
            sections,
            profile,
            deepstack: (profile.deepstack)(config),
            attention_window,
        })
    }

    /// The lowest precision in which the engine computes a layer; the differentiable decoder computes in f32.
    pub(crate) fn precision(&self) -> Precision {
        let precision_of = |linear: &Arc<dyn QuantMethod>| match linear.unquant_weight_bias() {
            Some((weight, _)) if weight.dtype() == DType::F32 => Precision::F32,
            Some(_) => Precision::Half,
            None => Precision::Quantised,
        };
        self.layers.iter().flat_map(|layer| &layer.linears).map(precision_of).max().unwrap_or(Precision::F32)
    }
}

/// The table of rotary parameters of a configuration.
fn rope_parameters<'a>(family: &Family, config: &'a Value) -> Option<&'a Value> {
    family.text_field(config, "rope_scaling").or_else(|| family.text_field(config, "rope_parameters"))
}

/// Returns the decoder profile of a model that strategy `learned` supports. It reads `config.json` only, so it can run before a model is loaded.
///
/// # Errors
/// If the family has no decoder profile, or the differentiable decoder lacks the activation or rotary scaling of the configuration.
pub(crate) fn differentiable_profile(
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
            "strategy \"learned\" supports hidden_act \"silu\" only, and the {role} model has {activation:?}"
        )));
    }
    let rope = rope_parameters(family, config);
    let scaling_kind = rope.and_then(|rope| rope.get("rope_type").or_else(|| rope.get("type"))).and_then(Value::as_str);
    let is_supported = |kind: &str| match kind {
        // With M-RoPE the field holds a name of M-RoPE, not of a scaling.
        _ if profile.sections.is_some() => true,
        "llama3" | "linear" => profile.scales && rotary_scaling(rope) != RotaryScaling::None,
        kind => kind == "default",
    };
    if let Some(kind) = scaling_kind.filter(|kind| !is_supported(kind)) {
        return Err(AttachError::Config(format!(
            "strategy \"learned\" does not support the rotary scaling {kind:?} of the {role} model"
        )));
    }
    Ok(profile)
}

/// The rotary scaling of a configuration; none if one of its parameters is missing.
fn rotary_scaling(rope: Option<&Value>) -> RotaryScaling {
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

/// The precision in which the engine computes, from the highest to the lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Precision {
    /// f32, as in the differentiable decoder.
    F32,
    /// Half precision.
    Half,
    /// Quantised weights, whose kernels may quantise activations too.
    Quantised,
}

/// The head: the first linear layer outside the decoder layers.
fn find_head(weights: &ModelWeights, role: Role) -> Result<Arc<dyn QuantMethod>, AttachError> {
    let head = weights.linear.iter().find(|(_, layer)| layer.is_none()).map(|(head, _)| head.clone());
    head.ok_or_else(|| AttachError::Pipeline(format!("the {role} model has no head")))
}

/// The tensor of this name among those that are never quantised.
fn find_tensor<'a>(weights: &'a ModelWeights, name: &str, role: Role) -> Result<&'a Tensor, AttachError> {
    let named = weights.residual.iter().find(|(known, _)| known == name).map(|(_, tensor)| tensor);
    named.ok_or_else(|| AttachError::Pipeline(format!("the {role} model has no tensor {name}")))
}

/// Collects the weights of every loaded decoder layer.
fn collect_layers(
    profile: &DecoderProfile,
    weights: &ModelWeights,
    role: Role,
) -> Result<Vec<EngineLayer>, AttachError> {
    let count = weights.linear.iter().filter_map(|(_, layer)| *layer).max().map_or(0, |last| last + 1);
    (0..count)
        .map(|layer| {
            let of_layer =
                weights.linear.iter().filter(|(_, index)| *index == Some(layer)).map(|(linear, _)| linear.clone());
            let linears: Vec<_> = of_layer.collect();
            let count = linears.len();
            let linears: [Arc<dyn QuantMethod>; LINEARS] = linears.try_into().map_err(|_| {
                AttachError::Pipeline(format!(
                    "layer {layer} of the {role} model: expected {LINEARS} linear layers, got {count}"
                ))
            })?;
            let name = |part: &str| format!("{}.{layer}.{part}.weight", profile.layers);
            let norm =
                |part: &str| -> Result<Tensor, AttachError> { Ok(to_f32(find_tensor(weights, &name(part), role)?)?) };
            let head_norms = match profile.head_norms {
                true => Some((norm("self_attn.q_norm")?, norm("self_attn.k_norm")?)),
                false => None,
            };
            let mut biases = [const { None }; LINEARS];
            for (slot, linear) in biases.iter_mut().zip(&linears) {
                *slot = measure_bias(&**linear)?;
            }
            let (input_norm, post_norm) = (norm("input_layernorm")?, norm("post_attention_layernorm")?);
            Ok(EngineLayer { linears, biases, input_norm, post_norm, head_norms })
        })
        .collect()
}

/// Measures the bias of a linear layer as its output for a row of zeros, since quantised layers and layers that can be split over devices do
/// not expose it.
fn measure_bias(linear: &dyn QuantMethod) -> candle_core::Result<Option<Tensor>> {
    let (dtype, weight) = match linear.unquant_weight_bias() {
        Some((weight, _)) => (weight.dtype(), weight),
        None => (DType::F32, linear.dequantize_w()?),
    };
    let row = Tensor::zeros((1, 1, weight.dim(1)?), dtype, weight.device())?;
    let output = to_f32(&linear.forward_autocast(&row)?.flatten_all()?)?;
    let largest = output.abs()?.max(0)?.to_scalar::<f32>()?;
    Ok((largest > 0.0).then_some(output))
}

fn to_f32(tensor: &Tensor) -> candle_core::Result<Tensor> {
    tensor.to_dtype(DType::F32)
}

/// Converts a linear layer to f32, dequantised if necessary.
fn linear_in_f32(linear: &dyn QuantMethod, bias: Option<&Tensor>) -> candle_core::Result<Linear> {
    let weight = match linear.unquant_weight_bias() {
        Some((weight, _)) => weight,
        None => linear.dequantize_w()?,
    };
    Ok(Linear { weight: to_f32(&weight)?, bias: bias.cloned() })
}

impl DecoderWeights for EngineDecoder {
    fn shape(&self) -> &DecoderShape {
        &self.shape
    }

    fn layer(&self, layer: usize) -> candle_core::Result<LayerWeights> {
        let Some(engine_layer) = self.layers.get(layer) else {
            bail!("expected a decoder layer below {}, the number of loaded layers, got {layer}", self.layers.len())
        };
        let linear = |index: usize| linear_in_f32(&*engine_layer.linears[index], engine_layer.biases[index].as_ref());
        Ok(LayerWeights {
            input_norm: engine_layer.input_norm.clone(),
            query: linear(0)?,
            key: linear(1)?,
            value: linear(2)?,
            head_norms: engine_layer.head_norms.clone(),
            output: linear(3)?,
            post_norm: engine_layer.post_norm.clone(),
            gate: linear(4)?,
            up: linear(5)?,
            down: linear(6)?,
        })
    }

    fn final_norm(&self) -> &Tensor {
        &self.final_norm
    }

    /// A quantised head is dequantised in memory until its rows are selected.
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
        to_f32(&weight.index_select(&Tensor::new(tokens, weight.device())?, 0)?)
    }
}
