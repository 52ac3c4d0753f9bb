//! The adapter's own table, `[mistralrs]`.
use std::path::{Path, PathBuf};

use candle_core::{DType, Device};
use mistralrs_core::{IsqType, ModelDType, Topology, parse_isq_value};
use replay_core::Role;
use replay_core::config::reader::TableReader;
use replay_core::config::{Config, ConfigError};

use crate::config::device::DevicePlace;
use crate::config::paged::PagedCache;

/// Where and how one model is loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct Placement {
    /// Precision; `None` chooses f32 on a CPU, and what the engine chooses elsewhere.
    pub dtype: Option<DType>,
    /// Device.
    pub device: DevicePlace,
    /// Quantisation at load time, by the engine's name for it.
    pub isq: Option<String>,
    /// The engine's topology file: device and quantisation by layer.
    pub topology: Option<PathBuf>,
}

/// The adapter's own table.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineTable {
    /// The base model.
    pub base: Placement,
    /// The RLVR model, when this program loads it.
    pub rlvr: Placement,
    /// Sequences that run at once, when this program starts the engine.
    pub max_seqs: usize,
    /// PagedAttention, when this program loads the RLVR model; without it each sequence has a cache of its own.
    pub paged: Option<PagedCache>,
    /// A chat template in place of the RLVR model's own, when this program loads it.
    pub chat_template: Option<PathBuf>,
}

/// Keys of `[mistralrs]`, with what they mean; `[mistralrs.base]` and `[mistralrs.rlvr]` take the first four for one model.
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
    /// Reads the table of a configuration.
    ///
    /// # Errors
    /// Every wrong key and value of the table.
    pub fn read(config: &Config) -> Result<Self, ConfigError> {
        let mut read = config.read_adapter_table(Self::from_table)?;
        let beside = config.source_path.as_deref().and_then(Path::parent);
        let files = [&mut read.base.topology, &mut read.rlvr.topology, &mut read.chat_template];
        for file in files.into_iter().flatten() {
            *file = beside.map_or(file.clone(), |folder| folder.join(&*file));
        }
        Ok(read)
    }

    /// Reads the table together with the rest of the file, so that all problems are reported at once.
    pub fn from_table(table: &mut TableReader<'_>) -> Self {
        let auto = Placement { dtype: None, device: DevicePlace::Auto, isq: None, topology: None };
        let shared = placement(table, &auto);
        let max_seqs = table.integer("max_seqs", 1..=1024).or(16) as usize;
        let base = table.table_or_empty("base", |table| placement(table, &shared));
        let rlvr = table.table_or_empty("rlvr", |table| placement(table, &shared));
        let paged = table.table("paged_attention", PagedCache::from_table);
        let chat_template = table.string("chat_template").optional().map(PathBuf::from);
        if chat_template.as_deref().is_some_and(|file| file.extension().is_none_or(|kind| kind != "jinja")) {
            table.report("chat_template", "a file whose name ends in .jinja", None);
        }
        Self { base, rlvr, max_seqs, paged, chat_template }
    }

    /// The placement of one model.
    pub fn of(&self, role: Role) -> &Placement {
        match role {
            Role::Base => &self.base,
            Role::Rlvr => &self.rlvr,
        }
    }
}

fn placement(table: &mut TableReader<'_>, default: &Placement) -> Placement {
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
    /// The topology, read.
    pub(crate) fn topology(&self) -> Result<Option<Topology>, String> {
        let Some(file) = &self.topology else { return Ok(None) };
        let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
        Topology::from_str(&text).map(Some).map_err(|e| format!("{}: {e:#}", file.display()))
    }

    /// What a model of this activation type computes in; a host may have quantised it otherwise than this says.
    pub(crate) fn precision(&self, dtype: DType, quantised: bool) -> String {
        let isq = match &self.isq {
            Some(isq) => format!(", {isq}"),
            None if quantised => ", quantised".into(),
            None => String::new(),
        };
        let topology = if self.topology.is_some() { ", by topology" } else { "" };
        format!("{dtype:?}{isq}{topology}")
    }

    /// For the engine's loader.
    ///
    /// # Errors
    /// bf16 on a CPU, where the engine has no product of such matrices but with Accelerate.
    pub(crate) fn model_dtype(&self, device: &Device) -> Result<ModelDType, String> {
        match self.dtype {
            Some(DType::F32) => Ok(ModelDType::F32),
            Some(DType::BF16) if device.is_cpu() && !cfg!(feature = "accelerate") => {
                Err("the engine computes nothing in bf16 on a CPU: dtype \"f16\" takes no more memory".into())
            }
            Some(DType::BF16) => Ok(ModelDType::BF16),
            Some(DType::F16) => Ok(ModelDType::F16),
            // The engine would choose half of it, with four digits or two.
            _ if device.is_cpu() => Ok(ModelDType::F32),
            _ => Ok(ModelDType::Auto),
        }
    }

    pub(crate) fn isq(&self, device: &Device) -> Result<Option<IsqType>, String> {
        self.isq.as_deref().map(|name| parse_isq_value(name, Some(device))).transpose()
    }
}
