//! A pipeline that has replay: its settings, what its requests ask for, and what it has done.
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use mistralrs_core::Response;
use replay_core::config::{Config, Strategy};
use replay_core::conformance::{Observed, Plan};
use replay_core::learned::Progress;
use replay_core::session::{Directive, RequestReport, Settings};
use replay_core::{PairInfo, ReplayCache};
use tokio::sync::{mpsc, oneshot};

use crate::config::table::EngineTable;
use crate::error::AttachError;
use crate::pairing::policies::fits;
use crate::runtime::backend::Bound;
use crate::runtime::hook::Hook;
use crate::runtime::orders::{Listeners, Order};

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
    pub(crate) fn new(bound: Bound) -> Self {
        Self { hook: Arc::new(Hook::new(bound)) }
    }

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
        let refused = AttachError::NeedsRestart;
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

    /// Whether the vision tower is the same in both models, so that it runs once a prompt.
    pub fn one_encoder(&self) -> bool {
        self.hook.bound.one_encoder
    }

    /// Bytes of the base's weights that are equal to the bit in the RLVR model and held once, and of all its weights. (The RLVR model
    /// finds them when it is loaded after the base, in the same precision on the same device.)
    pub fn shared_bytes(&self) -> (usize, usize) {
        self.hook.bound.shared_bytes
    }

    /// Whether the engine has this family see videos.
    pub fn sees_videos(&self) -> bool {
        self.hook.bound.labels.sees_videos()
    }

    /// Prefills of all sequences so far, repeated ones included.
    pub fn prefills(&self) -> usize {
        self.hook.prefills.load(Ordering::Relaxed)
    }

    /// Most sequences that were prefilled together.
    pub fn largest_batch(&self) -> usize {
        self.hook.largest_batch.load(Ordering::Relaxed)
    }

    /// Rows of prompts that did not run, since an earlier prompt had left their keys and values (`replay.cache.prefix_bytes`).
    pub fn known_rows(&self) -> usize {
        self.hook.known_rows.load(Ordering::Relaxed)
    }

    /// Bytes of keys and values that are kept of earlier prompts.
    pub fn prefix_bytes(&self) -> u64 {
        self.hook.bound.prefixes.bytes()
    }

    /// Why no keys and values are kept, though `replay.cache.prefix_bytes` says so: this model's forward cannot begin after them.
    pub fn no_prefixes(&self) -> Option<&str> {
        self.hook.bound.no_prefixes.as_deref()
    }

    /// How the engine keeps the RLVR model's keys and values, for people.
    pub fn keys_values(&self) -> &str {
        &self.hook.bound.keys_values
    }

    /// Requests whose edits are held: those that run, and at most a few that have just ended.
    pub fn held(&self) -> usize {
        self.hook.decisions.len()
    }
}
