//! Gives pipelines replay.
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use mistralrs_core::forward_hook::{self, Observer};
use mistralrs_core::{Pipeline, Response};
use replay_core::config::{Config, MAX_LAYERS, Replay, Strategy};
use replay_core::conformance::{Observed, Plan};
use replay_core::learned::Progress;
use replay_core::{ModelInfo, PairInfo, ReplayCache, Replayer, Role};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use crate::backend::{Bound, Decoders, TestedDecoder};
use crate::decoder::EngineDecoder;
use crate::directive::{Directive, Listeners, Order, RequestReport};
use crate::error::AttachError;
use crate::families::Family;
use crate::fingerprint;
use crate::hook::Hook;
use crate::lens::EngineLens;
use crate::load::{Loaded, load};
use crate::pair::{self, ModelFiles};
use crate::self_test::{self_test, test_prefix};
use crate::settings::Settings;
use crate::source::ModelSource;
use crate::table::EngineTable;

/// A replayed pipeline.
#[derive(Clone)]
pub struct Attached {
    pub(crate) hook: Arc<Hook>,
}

impl std::fmt::Debug for Attached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attached").field("pair", self.pair()).finish_non_exhaustive()
    }
}

impl Attached {
    /// The two models.
    pub fn pair(&self) -> &PairInfo {
        &self.hook.bound.pair
    }

    /// The settings that new requests are replayed by.
    pub fn settings(&self) -> Settings {
        self.hook.bound.settings()
    }

    /// Exchanges the settings for those of another configuration of the same pair. Requests that have been directed already keep theirs.
    ///
    /// # Errors
    /// If it is about another pair or adapter table, or needs what was not loaded (more layers of the base, gradients); then nothing changes.
    pub fn reload(&self, config: &Config) -> Result<(), AttachError> {
        let settings = self.check_reload(config)?;
        *self.hook.bound.settings.write().unwrap_or_else(PoisonError::into_inner) = settings;
        Ok(())
    }

    /// Whether [`reload`](Self::reload) would take this configuration, and the settings that it would give.
    ///
    /// # Errors
    /// As there.
    pub fn check_reload(&self, config: &Config) -> Result<Settings, AttachError> {
        let bound = &self.hook.bound;
        let refused = |why: &str| AttachError::Pipeline(format!("this configuration needs a restart: {why}"));
        if !config.replay.enabled {
            return Err(refused("replay.enabled is false; a request can be sent with replay off"));
        }
        if (&config.pair.base, &config.pair.rlvr) != (&bound.pair.base.id, &bound.pair.rlvr.id) {
            return Err(refused("it names other models"));
        }
        if EngineTable::read(config)? != bound.table {
            return Err(refused("the adapter's table has changed"));
        }
        fits(config, bound.pair.rlvr.decoder_layers)?;
        let settings = Settings::new(config, bound.pair.rlvr.decoder_layers)?;
        for replayer in settings.all() {
            if replayer.last_residual() > bound.pair.base.loaded_layers {
                return Err(refused("a policy reaches decoder layers of the base that were not loaded"));
            }
            if replayer.settings().strategy == Strategy::Learned && bound.decoders.is_none() {
                return Err(refused("no strategy was \"learned\" at start, so its decoders were not prepared"));
            }
        }
        Ok(settings)
    }

    /// Says what the request that answers on this channel asks for; call it before sending the request. The report arrives with
    /// the request's prefill (never, if it is not prefilled).
    pub fn direct(&self, channel: &mpsc::Sender<Response>, directive: Directive) -> oneshot::Receiver<RequestReport> {
        self.direct_with(channel, directive, &self.settings(), None)
    }

    /// The same under settings in whose profiles the directive was made, and for someone who may want to hear of each pass of learning.
    pub fn direct_with(
        &self,
        channel: &mpsc::Sender<Response>,
        directive: Directive,
        settings: &Settings,
        progress: Option<mpsc::UnboundedSender<Progress>>,
    ) -> oneshot::Receiver<RequestReport> {
        let (sender, receiver) = oneshot::channel();
        let listeners = Listeners { settings: Some(settings.clone()), report: Some(sender), progress };
        self.hook.orders.add(channel, Order::Replay(directive, listeners));
        receiver
    }

    /// With strategy `learned`: how far the differentiable decoders of base and RLVR model were from the engine's own at start-up, as the
    /// largest difference of a residual over its largest value.
    pub fn prefix_distances(&self) -> Option<(f32, f32)> {
        let decoders = self.hook.bound.decoders.as_ref()?;
        Some((decoders.base.distance, decoders.rlvr.distance))
    }

    /// What is kept for prompts that begin like an earlier one.
    pub fn cache(&self) -> &ReplayCache {
        &self.hook.bound.cache
    }

    /// For the conformance kit: before the request that answers on this channel is prefilled, runs a plan in place of replay.
    pub fn plan(
        &self,
        channel: &mpsc::Sender<Response>,
        plan: Plan,
    ) -> oneshot::Receiver<replay_core::Result<Observed>> {
        let (sender, receiver) = oneshot::channel();
        self.hook.orders.add(channel, Order::Plan(plan, sender));
        receiver
    }

    /// Prefills of all sequences so far, repeated ones included.
    pub fn prefills(&self) -> usize {
        self.hook.prefills.load(Ordering::Relaxed)
    }

    /// Most sequences that were prefilled together.
    pub fn largest_batch(&self) -> usize {
        self.hook.largest_batch.load(Ordering::Relaxed)
    }

    /// Requests whose edits are held: those that run, and at most a few that have just ended.
    pub fn held(&self) -> usize {
        self.hook.decisions.len()
    }
}

/// Gives a loaded pipeline replay: loads the base (only the decoder layers that the policy needs), checks that the two models are a
/// pair, tests the taps, and hooks the pipeline. `None` if the configuration says `enabled = false`.
///
/// Call it before the pipeline's engine starts. Prefix caching is off for a replayed pipeline.
///
/// # Errors
/// Everything that keeps the two models from being replayed.
pub fn attach(pipeline: &Loaded, config: &Config) -> Result<Option<Attached>, AttachError> {
    if !config.replay.enabled {
        return Ok(None);
    }
    attach_loaded(&Base::load(config)?, pipeline).map(Some)
}

pub(crate) fn attach_loaded(base: &Base, pipeline: &Loaded) -> Result<Attached, AttachError> {
    let busy = |_| AttachError::Pipeline("the pipeline is in use; attach replay before its engine starts".into());
    let mut pipeline = pipeline.try_lock().map_err(busy)?;
    if !base.rlvr.is_named(&pipeline.name()) {
        let (served, named) = (pipeline.name(), &base.config.pair.rlvr);
        return Err(AttachError::Pipeline(format!("the pipeline serves {served}, but pair.rlvr is {named}")));
    }
    let attached = base.bind(&mut *pipeline)?;
    forward_hook::attach(&*pipeline, attached.hook.clone());
    Ok(attached)
}

/// Gives replay to every pipeline of the RLVR model whose engine starts afterwards, by whichever route it is loaded (also after a
/// reload). The base is loaded now. Other pipelines are left alone; a second call takes the place of the first.
///
/// # Errors
/// Those of loading the base. What keeps a pipeline from being replayed is an error of its engine's start.
pub fn install(config: &Config) -> Result<(), AttachError> {
    install_telling(config, |_, _| ())
}

/// The same, for someone who wants to hear of each pipeline of the model, by its name, and of what kept it from being replayed.
pub(crate) fn install_telling(
    config: &Config,
    tell: impl Fn(&str, Result<Attached, String>) + Send + Sync + 'static,
) -> Result<(), AttachError> {
    if !config.replay.enabled {
        uninstall();
        return Ok(());
    }
    let base = Base::load(config)?;
    let observer: Arc<Observer> = Arc::new(move |pipeline: &mut dyn Pipeline| {
        if !base.rlvr.is_named(&pipeline.name()) {
            let (served, named) = (pipeline.name(), &base.config.pair.rlvr);
            tracing::warn!("activation replay is installed for {named}; {served} is served without it");
            return Ok(None);
        }
        let attached = base.bind(pipeline).map_err(|e| e.to_string());
        tell(&pipeline.name(), attached.clone());
        let attached = attached?;
        tracing::info!("activation replay is on for {}", pipeline.name());
        Ok(Some(attached.hook))
    });
    forward_hook::on_engine_start(Some(observer));
    Ok(())
}

/// Ends what [`install`] began, for pipelines whose engine starts afterwards.
pub fn uninstall() {
    forward_hook::on_engine_start(None);
}

/// A loaded base model, and what its pipeline has to be.
pub(crate) struct Base {
    config: Config,
    rlvr: ModelSource,
    files: ModelFiles,
    family: &'static Family,
    layers: usize,
    loaded: Arc<Mutex<Loaded>>,
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
            if all(config).any(|replay| replay.strategy == Strategy::Learned) && family.decoder.is_none() {
                let known = Family::differentiable();
                return Err(AttachError::NotDifferentiable { architecture: family.architecture, known });
            }
            fits(config, family.size(&rlvr.config, "num_hidden_layers")?)?;
        }

        let needed = all(config).map(needed_layers).max().unwrap_or(1);
        let loaded = load(Role::Base, &source, table.of(Role::Base), move |text| truncate(&text, needed))?;
        let files = ModelFiles::read(Role::Base, &source)?;
        let family = Family::of(&files.config)?;
        let decoder_layers = family.size(&files.config, "num_hidden_layers")?;
        fits(config, decoder_layers)?;
        let layers = loaded_layers(family, &files.config, decoder_layers, needed);
        let hidden = family.size(&files.config, "hidden_size")?;
        let mut pipeline = loaded.try_lock().map_err(|e| AttachError::Pipeline(e.to_string()))?;
        // Also lets go of hooks, and so of models, whose pipelines are gone, before the next model is loaded.
        forward_hook::detach(&*pipeline);
        let (lens, dtype) = lens(&mut *pipeline, family, &files.config, Role::Base)?;
        self_test(&mut *pipeline, Role::Base, layers, hidden)?;
        let decoder = decoder(&mut *pipeline, family, &files.config, all(config), Role::Base)?;
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
        Ok(Self { config, rlvr, files, family, layers, loaded, lens: Arc::new(lens), decoder, info })
    }

    /// Checks that this pipeline and the base are a pair, and prepares the hook.
    fn bind(&self, pipeline: &mut dyn Pipeline) -> Result<Attached, AttachError> {
        let files = ModelFiles::read(Role::Rlvr, &self.rlvr)?;
        let family = pair::check(&self.files, &files)?;
        let decoder_layers = family.size(&files.config, "num_hidden_layers")?;
        let hidden = family.size(&files.config, "hidden_size")?;
        let settings = Settings::new(&self.config, decoder_layers)?;
        let (lens, dtype) = lens(pipeline, self.family, &files.config, Role::Rlvr)?;
        self_test(pipeline, Role::Rlvr, decoder_layers, hidden)?;
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
        let rlvr_decoder = decoder(pipeline, self.family, &files.config, all(&self.config), Role::Rlvr)?;
        let decoders = self.decoder.clone().zip(rlvr_decoder).map(|(base, rlvr)| Decoders { base, rlvr });
        let pair = PairInfo { base: ModelInfo { loaded_layers: self.layers, ..self.info.clone() }, rlvr };
        for replayer in settings.all() {
            replayer.check_depth(&pair)?;
        }
        let bound = Bound {
            settings: RwLock::new(settings),
            table: EngineTable::read(&self.config)?,
            pair,
            base: self.loaded.clone(),
            base_lens: self.lens.clone(),
            rlvr_lens: Arc::new(lens),
            placeholders: family.placeholder_ids(&files.config),
            merge: family.merge(&files.config),
            decoders,
            cache: ReplayCache::new(self.config.replay.cache.max_bytes),
        };
        Ok(Attached { hook: Arc::new(Hook::new(bound)) })
    }
}

/// The settings of `[replay]` and of every profile.
fn all(config: &Config) -> impl Iterator<Item = &Replay> {
    std::iter::once(&config.replay).chain(config.profiles.values())
}

/// Decoder layers that a policy reaches.
fn needed_layers(replay: &Replay) -> usize {
    replay.layers.highest().map_or(1, |highest| highest + 1)
}

/// The policy must fit the models; said with the line of the file.
fn fits(config: &Config, decoder_layers: usize) -> Result<(), AttachError> {
    let named = config.profiles.iter().map(|(name, replay)| (format!("profiles.{name}.layers"), replay));
    for (key, replay) in std::iter::once(("replay.layers".to_owned(), &config.replay)).chain(named) {
        if let Err(error) = Replayer::new(replay, decoder_layers) {
            return Err(config.refuse(&key, &error.to_string(), None).into());
        }
    }
    Ok(())
}

fn loaded_layers(family: &Family, config: &Value, decoder_layers: usize, needed: usize) -> usize {
    needed.max((family.least_layers)(config)).min(decoder_layers)
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
    fingerprint::of(source).map_err(|e| AttachError::Load { role, id: source.id.clone(), why: e.to_string() })
}

/// The differentiable decoder that strategy `learned` needs, tested against the engine.
fn decoder<'a>(
    pipeline: &mut dyn Pipeline,
    family: &'static Family,
    config: &Value,
    settings: impl Iterator<Item = &'a Replay>,
    role: Role,
) -> Result<Option<TestedDecoder>, AttachError> {
    let learned = settings.filter(|replay| replay.strategy == Strategy::Learned);
    let range = |replay: &Replay| replay.learned.inject..needed_layers(replay);
    let widest = |a: Range<usize>, b: Range<usize>| a.start.min(b.start)..a.end.max(b.end);
    let Some(layers) = learned.map(range).reduce(widest) else { return Ok(None) };
    let Some(weights) = pipeline.model_weights() else { return Ok(None) };
    let decoder = Arc::new(EngineDecoder::new(family, config, &weights, role)?);
    let distance = test_prefix(pipeline, family, config, &decoder, layers, role)?;
    Ok(Some(TestedDecoder { decoder, distance }))
}

fn lens(
    pipeline: &mut dyn Pipeline,
    family: &Family,
    config: &Value,
    role: Role,
) -> Result<(EngineLens, String), AttachError> {
    let Some(weights) = pipeline.model_weights() else {
        return Err(AttachError::Pipeline(format!(
            "{} is a kind of pipeline that cannot be replayed",
            pipeline.name()
        )));
    };
    let dtype = pipeline.get_metadata().activation_dtype;
    let lens = EngineLens::new(family, config, &weights, dtype, role)?;
    Ok((lens, format!("{dtype:?}")))
}
