//! The adapter's own table, `[mistralrs]`.
use std::path::{Path, PathBuf};

use candle_core::{DType, Device};
use mistralrs_core::{IsqType, ModelDType, Topology, parse_isq_value};
use replay_core::Role;
use replay_core::config::reader::TableReader;
use replay_core::config::{Config, ConfigError};

use crate::config::device::DevicePlace;
use crate::config::paged::PagedCache;

/// The device, precision and quantisation with which one model is loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct Placement {
    /// Precision; `None` means f32 on a CPU and the engine's choice elsewhere.
    pub dtype: Option<DType>,
    /// The device of the model.
    pub device: DevicePlace,
    /// Quantisation at load time (ISQ), by the engine's name.
    pub isq: Option<String>,
    /// The engine's topology file, which gives device and quantisation by layer.
    pub topology: Option<PathBuf>,
}

/// The adapter's own table, `[mistralrs]`.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineTable {
    /// How the base is loaded.
    pub base: Placement,
    /// How the RLVR model is loaded, when this program loads it.
    pub rlvr: Placement,
    /// The largest number of concurrent sequences, when this program starts the engine.
    pub max_seqs: usize,
    /// PagedAttention for the RLVR model, when this program loads it; `None` gives each sequence a KV cache of its own.
    pub paged: Option<PagedCache>,
    /// The chat template that replaces the RLVR model's own, when this program loads it.
    pub chat_template: Option<PathBuf>,
}

/// The keys of `[mistralrs]`, each with its meaning; `[mistralrs.base]` and `[mistralrs.rlvr]` take the first four for one model.
pub fn table_keys() -> [(&'static str, &'static str); 6] {
    [
        (
            "dtype",
            "\"auto\" (f32 on a CPU, else the engine's choice), \"f32\", \"f16\", or \"bf16\", which needs a GPU",
        ),
        ("device", "\"auto\", \"cpu\", \"cuda:N\" or \"metal:N\""),
        ("isq", "quantise while loading, by the engine's names (\"q4k\", \"q8_0\", ...); \"none\" by default"),
        ("topology", "the engine's topology file (YAML; relative to this file): device and quantisation of each layer"),
        ("max_seqs", "sequences that run at once, 1 to 1024; 16 by default"),
        ("chat_template", "a .jinja file (relative to this file) in place of the RLVR model's own chat template"),
    ]
}

const DTYPES: [(&str, Option<DType>); 4] =
    [("auto", None), ("f32", Some(DType::F32)), ("bf16", Some(DType::BF16)), ("f16", Some(DType::F16))];

impl EngineTable {
    /// Reads the table from a configuration. Relative paths are resolved against the folder of its file.
    ///
    /// # Errors
    /// All unknown keys and invalid values of the table.
    pub fn read(config: &Config) -> Result<Self, ConfigError> {
        let mut engine_table = config.read_adapter_table(Self::from_table)?;
        let config_folder = config.source_path.as_deref().and_then(Path::parent);
        let files = [&mut engine_table.base.topology, &mut engine_table.rlvr.topology, &mut engine_table.chat_template];
        for file in files.into_iter().flatten() {
            *file = config_folder.map_or(file.clone(), |folder| folder.join(&*file));
        }
        Ok(engine_table)
    }

    /// Reads the table with the reader of the whole file, so that all problems of the file are reported together.
    pub fn from_table(table: &mut TableReader<'_>) -> Self {
        let auto = Placement { dtype: None, device: DevicePlace::Auto, isq: None, topology: None };
        let common = read_placement(table, &auto);
        let max_seqs = table.integer("max_seqs", 1..=1024).or(16) as usize;
        let base = table.table_or_empty("base", |table| read_placement(table, &common));
        let rlvr = table.table_or_empty("rlvr", |table| read_placement(table, &common));
        let paged = table.table("paged_attention", PagedCache::from_table);
        let chat_template = table.string("chat_template").optional().map(PathBuf::from);
        if chat_template.as_deref().is_some_and(|file| file.extension().is_none_or(|kind| kind != "jinja")) {
            table.report("chat_template", "a file whose name ends in .jinja", None);
        }
        Self { base, rlvr, max_seqs, paged, chat_template }
    }

    /// The placement of one model.
    pub fn placement(&self, role: Role) -> &Placement {
        match role {
            Role::Base => &self.base,
            Role::Rlvr => &self.rlvr,
        }
    }
}

/// Reads the placement keys of one table; keys that are absent take their value from `default`.
fn read_placement(table: &mut TableReader<'_>, default: &Placement) -> Placement {
    let dtype = table.choice("dtype", &DTYPES).or(default.dtype);
    let device = table.string("device").optional();
    let device = device.map_or(Some(default.device), |name| DevicePlace::parse(&name)).unwrap_or_else(|| {
        table.report("device", "\"auto\", \"cpu\", \"cuda\", \"cuda:N\", \"metal\" or \"metal:N\"", None);
        default.device
    });
    let isq = table.string("isq").optional();
    let isq = match isq {
        None => default.isq.clone(),
        Some(name) if name == "none" => None,
        Some(name) if parse_isq_value(&name, None).is_ok() => Some(name),
        Some(_) => {
            table.report("isq", "\"none\" or a quantisation of the engine such as \"q4k\" or \"q8_0\"", None);
            None
        }
    };
    let topology = table.string("topology").optional().map(PathBuf::from).or_else(|| default.topology.clone());
    Placement { dtype, device, isq, topology }
}

impl Placement {
    /// Reads the topology file.
    ///
    /// # Errors
    /// If the file cannot be read or parsed.
    pub(crate) fn topology(&self) -> Result<Option<Topology>, String> {
        let Some(file) = &self.topology else { return Ok(None) };
        let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
        Topology::from_str(&text).map(Some).map_err(|e| format!("{}: {e:#}", file.display()))
    }

    /// Describes the precision of a model for users. `quantised` is what the loaded model shows: a host may have quantised it otherwise than
    /// the table says.
    pub(crate) fn describe_precision(&self, dtype: DType, quantised: bool) -> String {
        let isq = match &self.isq {
            Some(isq) => format!(", {isq}"),
            None if quantised => ", quantised".into(),
            None => String::new(),
        };
        let topology = if self.topology.is_some() { ", by topology" } else { "" };
        format!("{dtype:?}{isq}{topology}")
    }

    /// Converts the precision for the engine's loader.
    ///
    /// # Errors
    /// If it is bf16 on a CPU: without Accelerate the engine has no bf16 matrix product there.
    pub(crate) fn model_dtype(&self, device: &Device) -> Result<ModelDType, String> {
        match self.dtype {
            Some(DType::F32) => Ok(ModelDType::F32),
            Some(DType::BF16) if device.is_cpu() && !cfg!(feature = "accelerate") => {
                Err("the engine cannot compute in bf16 on a CPU: use dtype \"f16\", which takes the same memory".into())
            }
            Some(DType::BF16) => Ok(ModelDType::BF16),
            Some(DType::F16) => Ok(ModelDType::F16),
            // The engine would choose a half-precision type, with two to four significant digits.
            _ if device.is_cpu() => Ok(ModelDType::F32),
            _ => Ok(ModelDType::Auto),
        }
    }

    /// Converts the quantisation for the engine's loader.
    ///
    /// # Errors
    /// If the device does not support it.
    pub(crate) fn isq_type(&self, device: &Device) -> Result<Option<IsqType>, String> {
        self.isq.as_deref().map(|name| parse_isq_value(name, Some(device))).transpose()
    }
}
