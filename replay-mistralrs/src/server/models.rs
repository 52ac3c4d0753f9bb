//! `[[models]]` of the engine's configuration file, converted for the engine's loader.
use mistralrs_core::{AutoDeviceMapParams, ModelSelected};
use mistralrs_server_core::mistralrs_for_server_builder::ModelConfig;
use serde::Deserialize;
use serde_json::json;

use crate::error::AttachError;

/// One entry of `[[models]]`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ModelEntry {
    kind: Kind,
    pub(super) model_id: String,
    tokenizer: Option<String>,
    arch: Option<String>,
    #[serde(default = "auto")]
    dtype: String,
    #[serde(default)]
    format: Format,
    #[serde(default)]
    adapter: Adapter,
    #[serde(default)]
    quantization: Quantization,
    #[serde(default)]
    pub(super) device: Device,
    #[serde(default)]
    multimodal: Multimodal,
    chat_template: Option<String>,
    jinja_explicit: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Auto,
    Text,
    Multimodal,
    Diffusion,
    Speech,
    Embedding,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Format {
    format: Option<String>,
    quantized_file: Option<String>,
    tok_model_id: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Adapter {
    lora: Option<String>,
    xlora: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Quantization {
    in_situ_quant: Option<String>,
    from_uqff: Option<String>,
    isq_organization: Option<String>,
    imatrix: Option<String>,
    calibration_file: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub(super) struct Device {
    pub(super) cpu: Option<bool>,
    device_layers: Option<Vec<String>>,
    topology: Option<String>,
    hf_cache: Option<String>,
    max_seq_len: usize,
    max_batch_size: usize,
}

impl Default for Device {
    fn default() -> Self {
        Self {
            cpu: None,
            device_layers: None,
            topology: None,
            hf_cache: None,
            max_seq_len: AutoDeviceMapParams::DEFAULT_MAX_SEQ_LEN,
            max_batch_size: AutoDeviceMapParams::DEFAULT_MAX_BATCH_SIZE,
        }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Multimodal {
    max_edge: Option<u32>,
    max_num_images: Option<usize>,
    max_image_length: Option<usize>,
}

fn auto() -> String {
    "auto".into()
}

impl ModelEntry {
    /// Converts the entry as the engine's command line does.
    ///
    /// # Errors
    /// If the entry asks for something that only the engine's own command line serves.
    pub(super) fn model_config(&self) -> Result<ModelConfig, AttachError> {
        let mut config = ModelConfig::new(self.model_id.clone(), self.model_selected()?);
        config.chat_template = self.chat_template.clone();
        config.jinja_explicit = self.jinja_explicit.clone();
        config.num_device_layers = self.device.device_layers.clone();
        config.in_situ_quant = self.quantization.in_situ_quant.clone();
        Ok(config)
    }

    fn model_selected(&self) -> Result<ModelSelected, AttachError> {
        let refused = |why: &str| AttachError::EngineFile(format!("model {}: {why}", self.model_id));
        if self.adapter.lora.is_some() || self.adapter.xlora.is_some() {
            return Err(refused("LoRA adapters are served by the engine's own command line only"));
        }
        let format = self.format.format.as_deref().unwrap_or("plain");
        let quantization = &self.quantization;
        let common = json!({
            "model_id": self.model_id,
            "tokenizer_json": self.tokenizer,
            "arch": self.arch,
            "dtype": self.dtype,
            "topology": self.device.topology,
            "organization": quantization.isq_organization,
            "from_uqff": quantization.from_uqff,
            "imatrix": quantization.imatrix,
            "calibration_file": quantization.calibration_file,
            "max_edge": self.multimodal.max_edge,
            "max_seq_len": self.device.max_seq_len,
            "max_batch_size": self.device.max_batch_size,
            "max_num_images": self.multimodal.max_num_images,
            "max_image_length": self.multimodal.max_image_length,
            "hf_cache_path": self.device.hf_cache,
        });
        let with_fields = |more: serde_json::Value| {
            let mut fields = common.clone();
            for (key, value) in more.as_object().into_iter().flatten() {
                fields[key] = value.clone();
            }
            fields
        };
        // Deserialized into the engine's own type, whose variants ignore the fields that they do not have.
        let selected = match (self.kind, format) {
            (Kind::Auto | Kind::Text, "gguf") => json!({ "GGUF": with_fields(json!({
                "tok_model_id": self.format.tok_model_id,
                "quantized_model_id": self.model_id,
                "quantized_filename": self.format.quantized_file,
            })) }),
            (_, format) if format != "plain" => {
                return Err(refused(&format!("format {format:?} is served by the engine's own command line only")));
            }
            (Kind::Auto, _) => json!({ "Run": common }),
            (Kind::Text, _) => json!({ "Plain": common }),
            (Kind::Multimodal, _) => json!({ "MultimodalPlain": with_fields(json!({
                "arch": null,
                "max_num_images": self.multimodal.max_num_images.unwrap_or(1),
                "max_image_length": self.multimodal.max_image_length.unwrap_or(1024),
            })) }),
            (Kind::Embedding, _) => json!({ "Embedding": with_fields(json!({ "arch": null })) }),
            (Kind::Diffusion, _) => json!({ "DiffusionPlain": with_fields(json!({ "arch": "flux" })) }),
            (Kind::Speech, _) => json!({ "Speech": with_fields(json!({ "arch": "dia" })) }),
        };
        serde_json::from_value(selected).map_err(|e| refused(&e.to_string()))
    }
}
