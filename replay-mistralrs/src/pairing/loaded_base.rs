//! The loaded base of a pair, and the preparation of replay for a pipeline of the RLVR model.
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
use crate::families::{Family, PromptLabeller};
use crate::models::fingerprint;
use crate::models::load::{LoadedPipeline, ServingOptions, load_model};
use crate::models::model_files::ModelFiles;
use crate::models::source::ModelSource;
use crate::models::weight_pool::weight_pool;
use crate::pairing::attached::Attached;
use crate::pairing::encoder_hash::encoder_hash;
use crate::pairing::pair_check::check_pair;
use crate::pairing::policies::{all_policies, check_family, check_layers, needed_layers};
use crate::pairing::self_test::{test_decoder, test_image_prompt, test_prefix_cache, test_taps};
use crate::runtime::decoder::{EngineDecoder, differentiable_profile};
use crate::runtime::lens::EngineLens;
use crate::runtime::prefix_cache::{ImageDependence, PrefixCache};
use crate::runtime::replay_pair::{Decoders, ReplayPair, TestedDecoder};

/// A loaded base model, and the RLVR model that is to be its pair.
pub(crate) struct LoadedBase {
    pub(crate) config: Config,
    source: ModelSource,
    pub(crate) rlvr: ModelSource,
    files: ModelFiles,
    family: &'static Family,
    loaded_layers: usize,
    pipeline: Arc<Mutex<LoadedPipeline>>,
    /// The weights that the RLVR model may share.
    weight_pool: Arc<WeightPool>,
    execution: Execution,
    lens: Arc<EngineLens>,
    /// The differentiable decoder, if a policy has strategy `learned`.
    decoder: Option<TestedDecoder>,
    info: ModelInfo,
}

impl LoadedBase {
    /// Loads the base of a configuration, and tests its taps, lens and differentiable decoder.
    ///
    /// # Errors
    /// If the configuration does not fit the models, the base cannot be loaded, or a self-test fails.
    pub(crate) fn load(config: &Config) -> Result<Self, AttachError> {
        let table = EngineTable::read(config)?;
        // Checks what is possible without a model, before anything is downloaded.
        check_layers(config, MAX_LAYERS)?;
        let (source, rlvr) = ModelSource::find_pair(config)?;
        if source.is_local() && rlvr.is_local() {
            // Checked here, since loading takes minutes.
            let (base, rlvr) = (ModelFiles::read(Role::Base, &source)?, ModelFiles::read(Role::Rlvr, &rlvr)?);
            let family = check_pair(&base, &rlvr)?;
            if all_policies(config).any(|replay| replay.strategy == Strategy::Learned) {
                differentiable_profile(family, &base.config, Role::Base)?;
                differentiable_profile(family, &rlvr.config, Role::Rlvr)?;
            }
            check_layers(config, family.size(&rlvr.config, "num_hidden_layers")?)?;
            check_family(config, family, &rlvr.config)?;
        }

        let needed = all_policies(config).map(needed_layers).max().unwrap_or(1);
        let weight_pool = weight_pool(&rlvr, &table);
        let edit = move |text: String| truncate_config(&text, needed);
        let loaded = weight_pool
            .fill(|| load_model(Role::Base, &source, table.placement(Role::Base), ServingOptions::default(), edit))?;
        let files = ModelFiles::read(Role::Base, &source)?;
        let family = Family::of(&files.config)?;
        let decoder_layers = family.size(&files.config, "num_hidden_layers")?;
        check_layers(config, decoder_layers)?;
        if !source.is_local() || !rlvr.is_local() {
            check_family(config, family, &files.config)?;
        }
        let loaded_layers = layers_to_load(family, &files.config, decoder_layers, needed);
        let hidden = family.width(&files.config)?;
        let mut pipeline = loaded.try_lock().map_err(|e| AttachError::Pipeline(e.to_string()))?;
        // This also frees hooks whose pipelines were dropped, and with them their models, before the next model is loaded.
        forward_hook::detach(&*pipeline);
        let (lens, dtype) = create_lens(&mut *pipeline, family, &files.config, Role::Base)?;
        let execution = Execution::read(&mut *pipeline);
        let dtype = table.base.describe_precision(dtype, execution.is_quantised());
        test_taps(&mut *pipeline, &lens, loaded_layers, hidden, Role::Base)?;
        let decoder = create_decoder(&mut *pipeline, family, &files, all_policies(config), Role::Base)?;
        drop(pipeline);
        let info = ModelInfo {
            id: config.pair.base.clone(),
            architecture: family.architecture.into(),
            decoder_layers,
            loaded_layers,
            hidden,
            vocabulary: lens.vocabulary_size(),
            dtype,
            fingerprint: fingerprint_weights(Role::Base, &source)?,
        };
        let (config, pipeline) = (config.clone(), Arc::new(Mutex::new(loaded)));
        let lens = Arc::new(lens);
        Ok(Self {
            config,
            source,
            rlvr,
            files,
            family,
            loaded_layers,
            pipeline,
            weight_pool,
            execution,
            lens,
            decoder,
            info,
        })
    }

    /// Checks that the RLVR model's `config.json` has the layout that the engine reads, for a pipeline that a host loads without translation.
    ///
    /// # Errors
    /// If it has the layout of transformers 5.
    pub(crate) fn check_rlvr_config_layout(&self) -> Result<(), AttachError> {
        if !ModelFiles::read(Role::Rlvr, &self.rlvr)?.translated {
            return Ok(());
        }
        let why = "its config.json has the layout of transformers 5, where the engine's loader misses fields and assumes defaults; \
                   use the commands of `replay`, which translate it, or save the model with transformers 4";
        Err(AttachError::Load { role: Role::Rlvr, id: self.rlvr.id.clone(), why: why.into() })
    }

    /// Checks that a pipeline of the RLVR model and the base are a pair, runs the self-tests, and creates the hook.
    ///
    /// # Errors
    /// If the models are not a pair or a self-test fails.
    pub(crate) fn prepare_replay(&self, pipeline: &mut dyn Pipeline) -> Result<Attached, AttachError> {
        let files = ModelFiles::read(Role::Rlvr, &self.rlvr)?;
        let family = check_pair(&self.files, &files)?;
        let decoder_layers = family.size(&files.config, "num_hidden_layers")?;
        let hidden = family.width(&files.config)?;
        let settings = Settings::new(&self.config, decoder_layers)?;
        let (lens, dtype) = create_lens(pipeline, self.family, &files.config, Role::Rlvr)?;
        let table = EngineTable::read(&self.config)?;
        let execution = Execution::read(pipeline);
        let dtype = table.rlvr.describe_precision(dtype, execution.is_quantised());
        test_taps(pipeline, &lens, decoder_layers, hidden, Role::Rlvr)?;
        let labeller = PromptLabeller::new(family, &files);
        test_image_prompt(pipeline, family, &labeller, &lens, decoder_layers, Role::Rlvr)?;
        let rlvr = ModelInfo {
            id: self.config.pair.rlvr.clone(),
            architecture: family.architecture.into(),
            decoder_layers,
            loaded_layers: decoder_layers,
            hidden,
            vocabulary: lens.vocabulary_size(),
            dtype,
            fingerprint: fingerprint_weights(Role::Rlvr, &self.rlvr)?,
        };
        let rlvr_decoder = create_decoder(pipeline, self.family, &files, all_policies(&self.config), Role::Rlvr)?;
        let decoders = self.decoder.clone().zip(rlvr_decoder).map(|(base, rlvr)| Decoders { base, rlvr });
        let pair = PairInfo { base: ModelInfo { loaded_layers: self.loaded_layers, ..self.info.clone() }, rlvr };
        for replayer in settings.all() {
            replayer.check_depth(&pair)?;
        }
        self.weight_pool.settle();
        let prefix_cache_bytes = self.config.replay.cache.prefix_bytes;
        let image_dependence = match prefix_cache_bytes {
            0 => Ok(ImageDependence::default()),
            _ => test_prefix_cache(pipeline, family, &labeller, lens.is_unquantised_f32()),
        };
        if let Err(why) = &image_dependence {
            tracing::warn!("the prefix cache (replay.cache.prefix_bytes) is off for {}: {why}", pipeline.name());
        }
        let common = lens.vocabulary_size().min(self.lens.vocabulary_size());
        let replay_pair = ReplayPair {
            settings: RwLock::new(settings),
            table,
            info: pair,
            base: self.pipeline.clone(),
            base_lens: Arc::new(self.lens.over(common)?),
            rlvr_lens: Arc::new(lens.over(common)?),
            remarks: self.remarks(&files),
            labeller,
            same_vision_tower: self.execution == execution && self.has_same_vision_tower(&files)?,
            shared_bytes: self.weight_pool.shared_bytes(),
            decoders,
            cache: Arc::new(ReplayCache::new(self.config.replay.cache.max_bytes)),
            prefix_cache: Arc::new(match &image_dependence {
                Ok(dependence) => PrefixCache::new(prefix_cache_bytes, *dependence),
                Err(_) => PrefixCache::new(0, ImageDependence::default()),
            }),
            prefix_cache_fault: image_dependence.err(),
            kv_cache: paged::describe_kv_cache(pipeline),
        };
        Ok(Attached::new(replay_pair))
    }
}

/// The device and precision in which a loaded model computes, read from the model: a host may have loaded the RLVR model otherwise than the
/// adapter's table says.
#[derive(PartialEq)]
struct Execution {
    device: DeviceLocation,
    dtype: DType,
    /// The activation type of each linear layer outside the decoder layers, if it is quantised.
    quantised: Vec<Option<DType>>,
}

impl Execution {
    fn read(pipeline: &mut dyn Pipeline) -> Self {
        let linear = pipeline.model_weights().map(|weights| weights.linear).unwrap_or_default();
        let outside = linear.iter().filter(|(_, layer)| layer.is_none());
        Self {
            device: pipeline.device().location(),
            dtype: pipeline.get_metadata().activation_dtype,
            quantised: outside.map(|(layer, _)| layer.quantized_act_type()).collect(),
        }
    }

    fn is_quantised(&self) -> bool {
        self.quantised.iter().any(Option::is_some)
    }
}

impl LoadedBase {
    /// What was taken from the other model's files or left out, for both models.
    fn remarks(&self, rlvr: &ModelFiles) -> Vec<(Role, String)> {
        let of =
            |role: Role, files: &ModelFiles| files.remarks.iter().map(move |remark| (role, remark.clone())).collect();
        let (mut remarks, rlvr): (Vec<_>, Vec<_>) = (of(Role::Base, &self.files), of(Role::Rlvr, rlvr));
        remarks.extend(rlvr);
        remarks
    }

    /// Whether vision tower and projector are the same in both models, in weights, configuration and placement.
    fn has_same_vision_tower(&self, rlvr: &ModelFiles) -> Result<bool, AttachError> {
        let table = EngineTable::read(&self.config)?;
        let base_vision = &self.files.config["vision_config"];
        let rlvr_vision = rlvr.config["vision_config"].as_object().into_iter().flatten();
        // A key that one file omits has its default value.
        let differs =
            rlvr_vision.into_iter().any(|(key, value)| base_vision.get(key).is_some_and(|base| base != value));
        if table.base != table.rlvr || differs {
            return Ok(false);
        }
        let hash_of = |role, source: &ModelSource| {
            let fail = |e: std::io::Error| AttachError::Load { role, id: source.id.clone(), why: e.to_string() };
            encoder_hash(source, self.family.encoders).map_err(fail)
        };
        let (base, rlvr) = (hash_of(Role::Base, &self.source)?, hash_of(Role::Rlvr, &self.rlvr)?);
        Ok(base.is_some() && base == rlvr)
    }
}

/// The number of decoder layers to load, for a policy that needs the first `needed` ones.
fn layers_to_load(family: &Family, config: &Value, decoder_layers: usize, needed: usize) -> usize {
    needed.max((family.min_layers)(config)).min(decoder_layers)
}

/// The base's `config.json` with as many decoder layers as the policy needs. The file of a family without a profile is returned unchanged: the
/// family is refused later.
fn truncate_config(text: &str, needed: usize) -> Result<String, String> {
    let config: Value = serde_json::from_str(text).map_err(|e| format!("config.json: {e}"))?;
    let Ok(family) = Family::of(&config) else { return Ok(text.into()) };
    let decoder_layers = family.size(&config, "num_hidden_layers").map_err(|e| e.to_string())?;
    family.truncated(text, layers_to_load(family, &config, decoder_layers, needed))
}

fn fingerprint_weights(role: Role, source: &ModelSource) -> Result<String, AttachError> {
    fingerprint::model_fingerprint(source).map_err(|e| AttachError::Load {
        role,
        id: source.id.clone(),
        why: e.to_string(),
    })
}

/// Creates the differentiable decoder and tests it against the engine. `None` if no policy has strategy `learned`.
fn create_decoder<'a>(
    pipeline: &mut dyn Pipeline,
    family: &'static Family,
    files: &ModelFiles,
    policies: impl Iterator<Item = &'a Replay>,
    role: Role,
) -> Result<Option<TestedDecoder>, AttachError> {
    let learned = policies.filter(|replay| replay.strategy == Strategy::Learned);
    let layer_range = |replay: &Replay| replay.learned.inject..needed_layers(replay);
    let union = |a: Range<usize>, b: Range<usize>| a.start.min(b.start)..a.end.max(b.end);
    let Some(layers) = learned.map(layer_range).reduce(union) else { return Ok(None) };
    let Some(weights) = pipeline.model_weights() else { return Ok(None) };
    let decoder = Arc::new(EngineDecoder::new(family, &files.config, &weights, role)?);
    let error = test_decoder(pipeline, family, &PromptLabeller::new(family, files), &decoder, layers, role)?;
    Ok(Some(TestedDecoder { decoder, error }))
}

/// Creates the logit lens of a loaded model. Returns the lens and the precision of the activations.
fn create_lens(
    pipeline: &mut dyn Pipeline,
    family: &Family,
    config: &Value,
    role: Role,
) -> Result<(EngineLens, DType), AttachError> {
    let Some(weights) = pipeline.model_weights() else {
        return Err(AttachError::Pipeline(format!(
            "the pipeline {} cannot be replayed: it is of a kind that does not give access to its weights",
            pipeline.name()
        )));
    };
    let dtype = pipeline.get_metadata().activation_dtype;
    let lens = EngineLens::new(family, config, &weights, dtype, role)?;
    Ok((lens, dtype))
}
