//! Runs the steps of a configuration over one prompt.
use std::time::Instant;

use crate::config::{Alignment, Replay, Strategy};
use crate::lens::{StreamedLens, select_rows};
use crate::rank::{self, Lensed, RankRequest, Selection, edited_residual, ranked_residual};
use crate::substitute::Edits;
use crate::{
    Activations, Error, KlMean, LayerReport, Milliseconds, PairInfo, ReplayBackend, Report, Result, Role, Status,
};

/// The settings of a configuration, bound to the depth of the models it is for.
#[derive(Debug, Clone)]
pub struct Replayer {
    replay: Replay,
    layers: Vec<usize>,
    fingerprint: String,
}

impl Replayer {
    /// Binds settings to models of `decoder_layers` layers.
    ///
    /// # Errors
    /// If the models have too few layers for the policy, or the strategy is not there.
    pub fn new(replay: &Replay, decoder_layers: usize) -> Result<Self> {
        let replay = replay.clone();
        let layers = replay.layers.policy_layers(decoder_layers).map_err(|e| Error::Unavailable(e.to_string()))?;
        if replay.strategy == Strategy::Learned {
            return Err(Error::Unavailable(
                "strategy \"learned\" needs a differentiable prefix of the served model, which is not available yet; \
                 use strategy = \"substitute\""
                    .into(),
            ));
        }
        Ok(Self { fingerprint: replay.fingerprint(), replay, layers })
    }

    /// The settings.
    pub fn settings(&self) -> &Replay {
        &self.replay
    }

    /// The policy layers, ascending.
    pub fn policy_layers(&self) -> &[usize] {
        &self.layers
    }

    /// The last residual that any step needs: neither model has to run, or be loaded, past as many decoder layers.
    pub fn last_residual(&self) -> usize {
        self.layers.last().map_or(0, |&layer| ranked_residual(layer))
    }

    /// A report that says nothing but why the prompt is left alone.
    pub fn passthrough(&self, reason: impl Into<String>) -> Report {
        Report {
            status: Status::Passthrough,
            reason: Some(reason.into()),
            strategy: self.replay.strategy,
            alignment: self.replay.alignment,
            fingerprint: self.fingerprint.clone(),
            rows: 0,
            visual_rows: 0,
            images: 0,
            layers: Vec::new(),
            milliseconds: Milliseconds::default(),
        }
    }

    /// Captures, ranks and arms the edits for one prompt.
    ///
    /// # Errors
    /// Those of the backend's steps; nothing is armed then.
    pub async fn replay(&self, backend: &mut dyn ReplayBackend) -> Result<Report> {
        let candidates = backend.prompt().candidates(self.replay.positions);
        let mut report = Report {
            rows: backend.prompt().len(),
            visual_rows: backend.prompt().visual_rows().len(),
            images: backend.prompt().images().len(),
            ..self.passthrough("")
        };
        if candidates.is_empty() {
            report.reason = Some("the prompt has no row to rank".into());
            return Ok(report);
        }
        report.reason = None;

        let mut clock = Clock::start();
        let base = backend.capture(Role::Base, &self.base_layers()).await?;
        report.milliseconds.capture_base = clock.lap();
        let rlvr_layers = self.rlvr_layers();
        let rlvr = match rlvr_layers.is_empty() {
            true => None,
            false => Some(backend.capture(Role::Rlvr, &rlvr_layers).await?),
        };
        report.milliseconds.capture_rlvr = clock.lap();

        let selection = self.rank(backend, &candidates, &base, rlvr.as_ref()).await?;
        report.milliseconds.rank = clock.lap();
        report.layers = self.layer_reports(&selection);
        if selection.is_empty() {
            report.status = Status::NothingSelected;
            return Ok(report);
        }
        let edits = Edits::new(&selection, &base, self.replay.alignment, self.replay.blend)?;
        report.milliseconds.substitute = clock.lap();
        if let (true, Some(rlvr)) = (self.replay.measure_kl, &rlvr) {
            self.measure(backend, &edits, rlvr, &base, &mut report.layers)?;
            report.milliseconds.measure_kl = clock.lap();
        }
        backend.substitute(edits).await?;
        report.milliseconds.substitute += clock.lap();
        report.status = Status::Replayed;
        Ok(report)
    }

    /// Residuals of the base that the steps read: those that are ranked and those that are put in.
    fn base_layers(&self) -> Vec<usize> {
        let mut layers: Vec<usize> = self.layers.iter().map(|&layer| ranked_residual(layer)).collect();
        if self.replay.alignment == Alignment::Released {
            layers.extend(&self.layers);
        }
        layers.sort_unstable();
        layers.dedup();
        layers
    }

    /// Residuals of a clean RLVR pass that the steps read; mostly none.
    fn rlvr_layers(&self) -> Vec<usize> {
        let mut layers = Vec::new();
        if self.replay.rank.base_below_rlvr {
            layers.extend(self.layers.iter().map(|&layer| ranked_residual(layer)));
        }
        if self.replay.measure_kl {
            layers.extend(self.layers.iter().map(|&layer| edited_residual(layer, self.replay.alignment)));
        }
        layers.sort_unstable();
        layers.dedup();
        layers
    }

    pub(crate) async fn rank(
        &self,
        backend: &mut dyn ReplayBackend,
        candidates: &[usize],
        base: &Activations,
        rlvr: Option<&Activations>,
    ) -> Result<Selection> {
        let request = RankRequest { layers: &self.layers, candidates, rank: &self.replay.rank };
        let memory = self.replay.lens_memory;
        // A backend may rank by itself, so it is borrowed mutably; the lenses are handed over as it gives them out.
        let (base_lens, rlvr_lens) = (backend.lens(Role::Base), backend.lens(Role::Rlvr));
        let base = Lensed { activations: base, lens: StreamedLens::new(&*base_lens, memory) };
        let rlvr = rlvr.map(|activations| Lensed { activations, lens: StreamedLens::new(&*rlvr_lens, memory) });
        backend.rank(&request, base, rlvr).await
    }

    fn layer_reports(&self, selection: &Selection) -> Vec<LayerReport> {
        let report = |layer: &rank::LayerSelection| LayerReport {
            layer: layer.layer,
            edited_residual: edited_residual(layer.layer, self.replay.alignment),
            ranked: layer.ranked,
            not_finite: layer.not_finite,
            selected: layer.rows.len(),
            entropy: layer.entropy,
            kl: None,
        };
        selection.layers.iter().map(report).collect()
    }

    fn measure(
        &self,
        backend: &dyn ReplayBackend,
        edits: &Edits,
        rlvr: &Activations,
        base: &Activations,
        layers: &mut [LayerReport],
    ) -> Result<()> {
        let (base_lens, rlvr_lens) = (backend.lens(Role::Base), backend.lens(Role::Rlvr));
        let memory = self.replay.lens_memory;
        let (base_lens, rlvr_lens) = (StreamedLens::new(&*base_lens, memory), StreamedLens::new(&*rlvr_lens, memory));
        for layer in layers {
            let residual = layer.edited_residual;
            let (Some(edit), Some(edited)) = (edits.layer(residual), edits.apply(residual, rlvr.residual(residual)?)?)
            else {
                continue;
            };
            let theirs = select_rows(base.residual(residual)?, &edit.rows)?;
            let mean = |own: &candle_core::Tensor| -> Result<f32> {
                let kl = base_lens.divergence(&theirs, &rlvr_lens, &select_rows(own, &edit.rows)?)?;
                Ok(kl.iter().sum::<f32>() / kl.len() as f32)
            };
            layer.kl = Some(KlMean { before: mean(rlvr.residual(residual)?)?, after: mean(&edited)? });
        }
        Ok(())
    }

    /// Refuses a pair whose base is cut too short for this policy.
    ///
    /// # Errors
    /// If the base was loaded with too few layers.
    pub fn check_depth(&self, pair: &PairInfo) -> Result<()> {
        let (needed, last) = (self.last_residual(), pair.base.loaded_layers);
        match self.layers.last() {
            Some(&layer) if needed > last => Err(Error::NoSuchLayer { role: Role::Base, layer, needed, last }),
            _ => Ok(()),
        }
    }
}

struct Clock(Instant);

impl Clock {
    fn start() -> Self {
        Self(Instant::now())
    }

    /// Milliseconds since the last lap.
    fn lap(&mut self) -> f64 {
        let elapsed = self.0.elapsed().as_secs_f64() * 1e3;
        self.0 = Instant::now();
        elapsed
    }
}
