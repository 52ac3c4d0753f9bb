//! A replayed pipeline: its settings, the directives of its requests, and its statistics.
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use mistralrs_core::Response;
use replay_core::config::{Config, Strategy};
use replay_core::conformance::{Observed, Plan};
use replay_core::learned::Progress;
use replay_core::session::{Directive, RequestReport, Settings};
use replay_core::{PairInfo, ReplayCache, Role};
use tokio::sync::{mpsc, oneshot};

use crate::config::table::EngineTable;
use crate::error::AttachError;
use crate::pairing::policies::check_layers;
use crate::runtime::hook::Hook;
use crate::runtime::prefill_tasks::{PrefillTask, ReplayTask};
use crate::runtime::replay_pair::ReplayPair;

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
    pub(crate) fn new(pair: ReplayPair) -> Self {
        Self { hook: Arc::new(Hook::new(pair)) }
    }

    /// The two models.
    pub fn pair(&self) -> &PairInfo {
        &self.hook.pair.info
    }

    /// The settings for new requests.
    pub fn settings(&self) -> Settings {
        self.hook.pair.settings()
    }

    /// Replaces the settings by those of another configuration of the same pair. Requests that already have a directive keep their settings.
    ///
    /// # Errors
    /// If the configuration names another pair, has another adapter table, or needs layers or gradients that were not loaded. Then nothing
    /// changes.
    pub fn reload(&self, config: &Config) -> Result<(), AttachError> {
        let settings = self.check_reload(config)?;
        *self.hook.pair.settings.write().unwrap_or_else(PoisonError::into_inner) = settings;
        Ok(())
    }

    /// Returns the settings that [`reload`](Self::reload) would set, without setting them.
    ///
    /// # Errors
    /// If [`reload`](Self::reload) would refuse the configuration.
    pub fn check_reload(&self, config: &Config) -> Result<Settings, AttachError> {
        let pair = &self.hook.pair;
        let refused = AttachError::NeedsRestart;
        if !config.replay.enabled {
            return Err(refused("replay.enabled is false; a request can be sent with replay off"));
        }
        if (&config.pair.base, &config.pair.rlvr) != (&pair.info.base.id, &pair.info.rlvr.id) {
            return Err(refused("it names another pair of models"));
        }
        if EngineTable::read(config)? != pair.table {
            return Err(refused("the adapter's table has changed"));
        }
        check_layers(config, pair.info.rlvr.decoder_layers)?;
        let settings = Settings::new(config, pair.info.rlvr.decoder_layers)?;
        for replayer in settings.all() {
            if replayer.last_residual() > pair.info.base.loaded_layers {
                return Err(refused("a policy reaches decoder layers of the base that were not loaded"));
            }
            if replayer.settings().strategy == Strategy::Learned && pair.decoders.is_none() {
                return Err(refused(
                    "no policy had strategy \"learned\" at start, so the differentiable decoders were not created",
                ));
            }
        }
        Ok(settings)
    }

    /// Sets the directive of the request that answers on this channel; call it before sending the request. The report arrives with the
    /// request's prefill, and never if it is not prefilled.
    pub fn direct(&self, channel: &mpsc::Sender<Response>, directive: Directive) -> oneshot::Receiver<RequestReport> {
        self.direct_with(channel, directive, &self.settings(), None)
    }

    /// Sets the directive as [`direct`](Self::direct) does, with the settings whose profiles the directive names, and sends the progress of
    /// learning to `progress`.
    pub fn direct_with(
        &self,
        channel: &mpsc::Sender<Response>,
        directive: Directive,
        settings: &Settings,
        progress: Option<mpsc::UnboundedSender<Progress>>,
    ) -> oneshot::Receiver<RequestReport> {
        let (sender, receiver) = oneshot::channel();
        let task = ReplayTask { directive, settings: Some(settings.clone()), report: Some(sender), progress };
        self.hook.tasks.add(channel, PrefillTask::Replay(task));
        receiver
    }

    /// The largest relative error of the differentiable decoders of base and RLVR model against the engine's own decoders at start-up: length
    /// of a row's difference over length of the row. `None` without strategy `learned`.
    pub fn decoder_errors(&self) -> Option<(f32, f32)> {
        let decoders = self.hook.pair.decoders.as_ref()?;
        Some((decoders.base.error, decoders.rlvr.error))
    }

    /// The cache of decisions for prompts that start like an earlier one.
    pub fn cache(&self) -> &ReplayCache {
        &self.hook.pair.cache
    }

    /// Runs a plan of the conformance kit in place of replay, before the request that answers on this channel is prefilled.
    pub fn run_plan(
        &self,
        channel: &mpsc::Sender<Response>,
        plan: Plan,
    ) -> oneshot::Receiver<replay_core::Result<Observed>> {
        let (sender, receiver) = oneshot::channel();
        self.hook.tasks.add(channel, PrefillTask::Plan(plan, sender));
        receiver
    }

    /// Whether both models have the same vision tower, so that it runs once per prompt.
    pub fn same_vision_tower(&self) -> bool {
        self.hook.pair.same_vision_tower
    }

    /// Bytes of the base's weights that both models share, and of all its weights. Equal tensors are shared if the RLVR model is loaded after
    /// the base, in the same precision on the same device.
    pub fn shared_bytes(&self) -> (usize, usize) {
        self.hook.pair.shared_bytes
    }

    /// Drops the decisions of requests that have ended, with their edits, some time after the returned guard is dropped: the engine lets go
    /// of a request after its client has the answer.
    pub(crate) fn sweep_later(&self) -> SweepLater {
        SweepLater(Arc::downgrade(&self.hook))
    }

    /// What was taken from the other model's files or left out, by model.
    pub fn remarks(&self) -> &[(Role, String)] {
        &self.hook.pair.remarks
    }

    /// Checks the sides of an image, in pixels.
    ///
    /// # Errors
    /// If the family's processor takes no image of these sides.
    pub fn check_sides(&self, width: u32, height: u32) -> Result<(), String> {
        self.hook.pair.labeller.family().check_sides(width, height)
    }

    /// Whether the engine passes videos to this family.
    pub fn sees_videos(&self) -> bool {
        self.hook.pair.labeller.sees_videos()
    }

    /// The number of prefills of all sequences so far, repeated ones included.
    pub fn prefills(&self) -> usize {
        self.hook.prefills.load(Ordering::Relaxed)
    }

    /// The largest number of sequences prefilled together so far.
    pub fn largest_batch(&self) -> usize {
        self.hook.largest_batch.load(Ordering::Relaxed)
    }

    /// The number of prompt rows so far whose keys and values came from the prefix cache.
    pub fn prefix_cache_rows(&self) -> usize {
        self.hook.prefix_cache_rows.load(Ordering::Relaxed)
    }

    /// Bytes of keys and values in the prefix cache.
    pub fn prefix_bytes(&self) -> u64 {
        self.hook.pair.prefix_cache.bytes()
    }

    /// Why the prefix cache is off although `replay.cache.prefix_bytes` is not 0: the self-test showed that this model cannot start a prefill
    /// after cached rows.
    pub fn prefix_cache_fault(&self) -> Option<&str> {
        self.hook.pair.prefix_cache_fault.as_deref()
    }

    /// A description of the engine's KV cache of the RLVR model, for users.
    pub fn kv_cache(&self) -> &str {
        &self.hook.pair.kv_cache
    }

    /// The number of requests whose decisions are held: running ones, and at most a few that have just ended.
    pub fn held_decisions(&self) -> usize {
        self.hook.decisions.len()
    }
}

/// Sweeps the decisions of ended requests after it is dropped.
pub(crate) struct SweepLater(Weak<Hook>);

impl Drop for SweepLater {
    fn drop(&mut self) {
        const ENGINE_LETS_GO: Duration = Duration::from_millis(500);
        let hook = std::mem::take(&mut self.0);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                tokio::time::sleep(ENGINE_LETS_GO).await;
                if let Some(hook) = hook.upgrade() {
                    hook.decisions.sweep();
                }
            });
        }
    }
}
