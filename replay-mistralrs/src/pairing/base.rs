//! A loaded base model, and how a pipeline becomes its pair.
use std::ops::Range;
use std::sync::{Arc, Mutex, RwLock};

use candle_core::{DType, DeviceLocation};
use mistralrs_core::Pipeline;
use mistralrs_core::forward_hook::{self, WeightPool};
use replay_core::config::{Config, MAX_LAYERS, Replay, Strategy};
use replay_core::session::Settings;
use replay_core::{ModelInfo, PairInfo, ReplayCache, Role};
use serde_json::Value;

use crate::config::paged;
use crate::config::table::EngineTable;
use crate::error::AttachError;
use crate::families::{Family, Labels};
use crate::models::fingerprint;
use crate::models::load::{LoadedPipeline, ServingOptions, load_model};
use crate::models::model_files::ModelFiles;
use crate::models::source::ModelSource;
use crate::models::weight_pool::weight_pool;
use crate::pairing::attached::Attached;
use crate::pairing::encoders;
use crate::pairing::pair;
use crate::pairing::policies::{all, fits, needed_layers, suits};
use crate::pairing::self_test::{self_test, test_picture, test_prefix, test_prefix_cache};
use crate::runtime::backend::{Bound, Decoders, TestedDecoder};
use crate::runtime::decoder::{EngineDecoder, differentiable};
use crate::runtime::lens::EngineLens;
use crate::runtime::prefix_cache::{Images, PrefixCache};

/// A loaded base model, and what its pipeline has to be.
pub(crate) struct Base {
    pub(crate) config: Config,
    source: ModelSource,
    pub(crate) rlvr: ModelSource,
    files: ModelFiles,
    family: &'static Family,
    layers: usize,
    loaded: Arc<Mutex<LoadedPipeline>>,
    /// What of it the RLVR model may take for its own.
    pool: Arc<WeightPool>,
    computes: Computes,
    lens: Arc<EngineLens>,
    /// With strategy `learned`.
    decoder: Option<TestedDecoder>,
    info: ModelInfo,
}

impl Base {
    pub(crate) fn load(config: &Config) -> Result<Self, AttachError> {
        let table = EngineTable::read(config)?;
        // Before anything is downloaded: as far as it can be told without a model, and with the line of the file.
        fits(config, MAX_LAYERS)?;
        let find = |role, name: &str| {
            ModelSource::find(name, config.source_path.as_deref()).map_err(|why| AttachError::Load {
                role,
                id: name.into(),
                why,
            })
        };
        let (source, rlvr) = (find(Role::Base, &config.pair.base)?, find(Role::Rlvr, &config.pair.rlvr)?);
        if source.is_local() && rlvr.is_local() {
            // Before minutes of loading.
            let (base, rlvr) = (ModelFiles::read(Role::Base, &source)?, ModelFiles::read(Role::Rlvr, &rlvr)?);
            let family = pair::check(&base, &rlvr)?;
            if all(config).any(|replay| replay.strategy == Strategy::Learned) {
                differentiable(family, &base.config, Role::Base)?;
                differentiable(family, &rlvr.config, Role::Rlvr)?;
            }
            fits(config, family.size(&rlvr.config, "num_hidden_layers")?)?;
            suits(config, family, &rlvr.config)?;
        }

        let needed = all(config).map(needed_layers).max().unwrap_or(1);
        let pool = weight_pool(&rlvr, &table);
        let cut = move |text: String| truncate(&text, needed);
        let loaded =
            pool.fill(|| load_model(Role::Base, &source, table.placement(Role::Base), ServingOptions::default(), cut))?;
        let files = ModelFiles::read(Role::Base, &source)?;
        let family = Family::of(&files.config)?;
        let decoder_layers = family.size(&files.config, "num_hidden_layers")?;
        fits(config, decoder_layers)?;
        if !source.is_local() || !rlvr.is_local() {
            suits(config, family, &files.config)?;
        }
        let layers = loaded_layers(family, &files.config, decoder_layers, needed);
        let hidden = family.width(&files.config)?;
        let mut pipeline = loaded.try_lock().map_err(|e| AttachError::Pipeline(e.to_string()))?;
        // Also lets go of hooks, and so of models, whose pipelines are gone, before the next model is loaded.
        forward_hook::detach(&*pipeline);
        let (lens, dtype) = lens(&mut *pipeline, family, &files.config, Role::Base)?;
        let computes = Computes::of(&mut *pipeline);
        let dtype = table.base.describe_precision(dtype, computes.quantised());
        self_test(&mut *pipeline, &lens, layers, hidden, Role::Base)?;
        let decoder = decoder(&mut *pipeline, family, &files, all(config), Role::Base)?;
        drop(pipeline);
        let info = ModelInfo {
            id: config.pair.base.clone(),
            architecture: family.architecture.into(),
            decoder_layers,
            loaded_layers: layers,
            hidden,
            vocabulary: lens.vocabulary_rows(),
            dtype,
            fingerprint: weights(Role::Base, &source)?,
        };
        let (config, loaded) = (config.clone(), Arc::new(Mutex::new(loaded)));
        let lens = Arc::new(lens);
        Ok(Self { config, source, rlvr, files, family, layers, loaded, pool, computes, lens, decoder, info })
    }

    /// Of a pipeline that the engine's own loader has loaded: it reads the file as it is.
    pub(crate) fn is_read_right(&self) -> Result<(), AttachError> {
        if !ModelFiles::read(Role::Rlvr, &self.rlvr)?.translated {
            return Ok(());
        }
        let why = "its config.json is as transformers 5 writes it, of which the engine's loader misses parts and takes defaults; \
                   the commands of `replay` read it, or save the model with transformers 4";
        Err(AttachError::Load { role: Role::Rlvr, id: self.rlvr.id.clone(), why: why.into() })
    }

    /// Checks that this pipeline and the base are a pair, and prepares the hook.
    pub(crate) fn bind(&self, pipeline: &mut dyn Pipeline) -> Result<Attached, AttachError> {
        let files = ModelFiles::read(Role::Rlvr, &self.rlvr)?;
        let family = pair::check(&self.files, &files)?;
        let decoder_layers = family.size(&files.config, "num_hidden_layers")?;
        let hidden = family.width(&files.config)?;
        let settings = Settings::new(&self.config, decoder_layers)?;
        let (lens, dtype) = lens(pipeline, self.family, &files.config, Role::Rlvr)?;
        let table = EngineTable::read(&self.config)?;
        let computes = Computes::of(pipeline);
        let dtype = table.rlvr.describe_precision(dtype, computes.quantised());
        self_test(pipeline, &lens, decoder_layers, hidden, Role::Rlvr)?;
        let labels = Labels::new(family, &files);
        test_picture(pipeline, family, &labels, &lens, decoder_layers, Role::Rlvr)?;
        let rlvr = ModelInfo {
            id: self.config.pair.rlvr.clone(),
            architecture: family.architecture.into(),
            decoder_layers,
            loaded_layers: decoder_layers,
            hidden,
            vocabulary: lens.vocabulary_rows(),
            dtype,
            fingerprint: weights(Role::Rlvr, &self.rlvr)?,
        };
        let rlvr_decoder = decoder(pipeline, self.family, &files, all(&self.config), Role::Rlvr)?;
        let decoders = self.decoder.clone().zip(rlvr_decoder).map(|(base, rlvr)| Decoders { base, rlvr });
        let pair = PairInfo { base: ModelInfo { loaded_layers: self.layers, ..self.info.clone() }, rlvr };
        for replayer in settings.all() {
            replayer.check_depth(&pair)?;
        }
        self.pool.settle();
        let most = self.config.replay.cache.prefix_bytes;
        let begins_later = match most {
            0 => Ok(Images::default()),
            _ => test_prefix_cache(pipeline, family, &labels, lens.is_exact()),
        };
        if let Err(why) = &begins_later {
            tracing::warn!("replay.cache.prefix_bytes is of no use to {}: {why}", pipeline.name());
        }
        let bound = Bound {
            settings: RwLock::new(settings),
            table,
            pair,
            base: self.loaded.clone(),
            base_lens: self.lens.clone(),
            rlvr_lens: Arc::new(lens),
            labels,
            one_encoder: self.computes == computes && self.one_encoder(&files)?,
            shared_bytes: self.pool.shared_bytes(),
            decoders,
            cache: ReplayCache::new(self.config.replay.cache.max_bytes),
            prefixes: Arc::new(match &begins_later {
                Ok(images) => PrefixCache::new(most, *images),
                Err(_) => PrefixCache::new(0, Images::default()),
            }),
            no_prefixes: begins_later.err(),
            keys_values: paged::describe_kv_cache(pipeline),
        };
        Ok(Attached::new(bound))
    }
}

/// Where and in what a loaded model computes. A host may have loaded the RLVR model otherwise than our table says.
#[derive(PartialEq)]
struct Computes {
    device: DeviceLocation,
    dtype: DType,
    /// What the layers outside the decoder layers take, if they are quantised.
    quantised: Vec<Option<DType>>,
}

impl Computes {
    fn of(pipeline: &mut dyn Pipeline) -> Self {
        let linear = pipeline.model_weights().map(|weights| weights.linear).unwrap_or_default();
        let outside = linear.iter().filter(|(_, layer)| layer.is_none());
        Self {
            device: pipeline.device().location(),
            dtype: pipeline.get_metadata().activation_dtype,
            quantised: outside.map(|(layer, _)| layer.quantized_act_type()).collect(),
        }
    }

    fn quantised(&self) -> bool {
        self.quantised.iter().any(Option::is_some)
    }
}

impl Base {
    /// Whether the vision tower and all after it up to the decoder are the same in both models.
    fn one_encoder(&self, rlvr: &ModelFiles) -> Result<bool, AttachError> {
        let table = EngineTable::read(&self.config)?;
        let ours = &self.files.config["vision_config"];
        let theirs = rlvr.config["vision_config"].as_object().into_iter().flatten();
        // A key that one file leaves out is its default.
        let differs = theirs.into_iter().any(|(key, value)| ours.get(key).is_some_and(|ours| ours != value));
        if table.base != table.rlvr || differs {
            return Ok(false);
        }
        let hash = |role, source: &ModelSource| {
            let fail = |e: std::io::Error| AttachError::Load { role, id: source.id.clone(), why: e.to_string() };
            encoders::hash(source, self.family.encoders).map_err(fail)
        };
        let (base, rlvr) = (hash(Role::Base, &self.source)?, hash(Role::Rlvr, &self.rlvr)?);
        Ok(base.is_some() && base == rlvr)
    }
}

fn loaded_layers(family: &Family, config: &Value, decoder_layers: usize, needed: usize) -> usize {
    needed.max((family.min_layers)(config)).min(decoder_layers)
}

/// The base's `config.json` with as many decoder layers as the policy needs; as it is for a family that has no profile, which is
/// refused afterwards.
fn truncate(text: &str, needed: usize) -> Result<String, String> {
    let config: Value = serde_json::from_str(text).map_err(|e| format!("config.json: {e}"))?;
    let Ok(family) = Family::of(&config) else { return Ok(text.into()) };
    let decoder_layers = family.size(&config, "num_hidden_layers").map_err(|e| e.to_string())?;
    family.truncated(text, loaded_layers(family, &config, decoder_layers, needed))
}

fn weights(role: Role, source: &ModelSource) -> Result<String, AttachError> {
    fingerprint::model_fingerprint(source).map_err(|e| AttachError::Load {
        role,
        id: source.id.clone(),
        why: e.to_string(),
    })
}

/// The differentiable decoder that strategy `learned` needs, tested against the engine.
fn decoder<'a>(
    pipeline: &mut dyn Pipeline,
    family: &'static Family,
    files: &ModelFiles,
    settings: impl Iterator<Item = &'a Replay>,
    role: Role,
) -> Result<Option<TestedDecoder>, AttachError> {
    let learned = settings.filter(|replay| replay.strategy == Strategy::Learned);
    let range = |replay: &Replay| replay.learned.inject..needed_layers(replay);
    let widest = |a: Range<usize>, b: Range<usize>| a.start.min(b.start)..a.end.max(b.end);
    let Some(layers) = learned.map(range).reduce(widest) else { return Ok(None) };
    let Some(weights) = pipeline.model_weights() else { return Ok(None) };
    let decoder = Arc::new(EngineDecoder::new(family, &files.config, &weights, role)?);
    let distance = test_prefix(pipeline, family, &Labels::new(family, files), &decoder, layers, role)?;
    Ok(Some(TestedDecoder { decoder, distance }))
}

fn lens(
    pipeline: &mut dyn Pipeline,
    family: &Family,
    config: &Value,
    role: Role,
) -> Result<(EngineLens, DType), AttachError> {
    let Some(weights) = pipeline.model_weights() else {
        return Err(AttachError::Pipeline(format!(
            "{} is a kind of pipeline that cannot be replayed",
            pipeline.name()
        )));
    };
    let dtype = pipeline.get_metadata().activation_dtype;
    let lens = EngineLens::new(family, config, &weights, dtype, role)?;
    Ok((lens, dtype))
}
