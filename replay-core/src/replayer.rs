//! Runs the steps of a configuration over one prompt.
use std::sync::Arc;

use tracing::{Instrument, info_span, instrument};

use crate::cache::{self, Entry, ReplayCache};
use crate::config::{Alignment, Below, Replay, Rule, Strategy};
use crate::learned::strategy::{self, Clock};
use crate::learned::{Learned, Stop};
use crate::lens::{StreamedLens, select_rows};
use crate::rank::{self, Lensed, RankRequest, Selection, ranked_residual};
use crate::substitute::Edits;
use crate::{
    Activations, Error, KlMean, LayerReport, Milliseconds, PairInfo, Precision, ReplayBackend, Report, Result, Role,
    Status,
};

/// The settings of a configuration, bound to the depth of the models it is for.
#[derive(Debug, Clone)]
pub struct Replayer {
    replay: Replay,
    layers: Vec<usize>,
    fingerprint: String,
}

/// What replay did to one prompt.
#[derive(Debug, Clone)]
pub struct Replayed {
    /// The report.
    pub report: Report,
    /// With strategy `learned`, if it came to that.
    pub learned: Option<Arc<Learned>>,
    /// The edits that were armed.
    pub edits: Option<Arc<Edits>>,
}

impl Replayer {
    /// Binds settings to models of `decoder_layers` layers.
    ///
    /// # Errors
    /// If the models have too few layers for the policy.
    pub fn new(replay: &Replay, decoder_layers: usize) -> Result<Self> {
        let replay = replay.clone();
        let layers = replay.layers.policy_layers(decoder_layers).map_err(|e| Error::Unavailable(e.to_string()))?;
        // The reader of a file says the same with the line; settings may also be inherited, or made by hand.
        if let Rule::Below(Below::PerLayer(thresholds)) = &replay.rank.rule
            && thresholds.len() != layers.len()
        {
            return Err(Error::Unavailable(format!(
                "rank.below has {} thresholds for {} policy layers",
                thresholds.len(),
                layers.len()
            )));
        }
        let compared = layers.first().map_or(0, |&layer| replay.alignment.edited_residual(layer));
        if replay.strategy == Strategy::Learned && replay.learned.inject > compared {
            return Err(Error::Unavailable(format!(
                "learned.inject = {} is behind residual[{compared}], the first that is compared",
                replay.learned.inject
            )));
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
            precision: None,
            rows: 0,
            visual_rows: 0,
            images: 0,
            layers: Vec::new(),
            learned: None,
            cache_hits: 0,
            milliseconds: Milliseconds::default(),
        }
    }

    /// Captures, ranks, learns if that is the strategy, and arms the edits for one prompt; or arms what an earlier prompt that began
    /// the same has paid for.
    ///
    /// # Errors
    /// Those of the backend's steps; nothing is armed then.
    #[instrument(skip_all, fields(strategy = %self.replay.strategy, rows = backend.prompt().len()))]
    pub async fn replay(&self, backend: &mut dyn ReplayBackend, cache: Option<&ReplayCache>) -> Result<Replayed> {
        let pair = backend.pair();
        let precision = Precision { base: pair.base.dtype.clone(), rlvr: pair.rlvr.dtype.clone() };
        let mut report = Report {
            precision: Some(precision),
            rows: backend.prompt().len(),
            visual_rows: backend.prompt().visual_rows().len(),
            images: backend.prompt().images().len(),
            ..self.passthrough("")
        };
        let candidates = backend.prompt().candidates(self.replay.positions);
        if candidates.is_empty() {
            report.reason = Some("the prompt has no row to rank".into());
            return Ok(Replayed { report, learned: None, edits: None });
        }
        report.reason = None;

        let key = cache.map(|cache| (cache, cache::key(&self.replay, backend.pair(), backend.prompt())));
        if let Some(entry) = key.as_ref().and_then(|(cache, key)| cache.get(key)) {
            let known = entry.report.clone();
            report = Report { rows: report.rows, cache_hits: 1, milliseconds: Milliseconds::default(), ..known };
            if let Some(edits) = &entry.edits {
                backend.substitute(edits.clone()).await?;
            }
            return Ok(Replayed { report, learned: entry.learned.clone(), edits: entry.edits.clone() });
        }

        let (edits, learned) = match self.replay.strategy {
            Strategy::Substitute => (self.substitution(backend, &candidates, &mut report).await?, None),
            Strategy::Learned => self.learning(backend, &mut report).await?,
        };
        let edits = edits.map(Arc::new);
        // What a time budget cut short under load is not for those who come later.
        let short = report.learned.as_ref().is_some_and(|learned| learned.stop == Stop::TimeBudget);
        if let (Some((cache, key)), false) = (key, short) {
            let entry = Entry { report: report.clone(), edits: edits.clone(), learned: learned.clone() };
            cache.insert(key, Arc::new(entry));
        }
        if let Some(edits) = &edits {
            backend.substitute(edits.clone()).await?;
        }
        Ok(Replayed { report, learned, edits })
    }

    async fn substitution(
        &self,
        backend: &mut dyn ReplayBackend,
        candidates: &[usize],
        report: &mut Report,
    ) -> Result<Option<Edits>> {
        let mut clock = Clock::start();
        let base = backend
            .capture(Role::Base, &self.base_layers())
            .instrument(info_span!("capture", role = %Role::Base))
            .await?;
        report.milliseconds.capture_base = clock.lap();
        let rlvr_layers = self.rlvr_layers();
        let rlvr = match rlvr_layers.is_empty() {
            true => None,
            false => {
                let pass = backend.capture(Role::Rlvr, &rlvr_layers);
                Some(pass.instrument(info_span!("capture", role = %Role::Rlvr)).await?)
            }
        };
        report.milliseconds.capture_rlvr = clock.lap();

        let selection = self.rank(backend, candidates, 0, &base, rlvr.as_ref()).await?;
        report.milliseconds.rank = clock.lap();
        report.layers = self.layer_reports(&selection);
        if selection.is_empty() {
            report.status = Status::NothingSelected;
            return Ok(None);
        }
        let edits = info_span!("substitute")
            .in_scope(|| Edits::new(&selection, &base, self.replay.alignment, self.replay.blend))?;
        report.milliseconds.substitute = clock.lap();
        if let (true, Some(rlvr)) = (self.replay.measure_kl, &rlvr) {
            info_span!("measure_kl").in_scope(|| self.measure(backend, &edits, rlvr, &base, &mut report.layers))?;
            report.milliseconds.measure_kl = clock.lap();
        }
        report.status = Status::Replayed;
        Ok(Some(edits))
    }

    async fn learning(
        &self,
        backend: &mut dyn ReplayBackend,
        report: &mut Report,
    ) -> Result<(Option<Edits>, Option<Arc<Learned>>)> {
        let found = strategy::learn(self, backend, &mut report.milliseconds).await?;
        report.layers = self.layer_reports(&found.selection);
        let Some(outcome) = found.outcome else {
            report.status = Status::NothingSelected;
            return Ok((None, None));
        };
        for (layer, kl) in report.layers.iter_mut().zip(outcome.kl) {
            layer.kl = kl;
        }
        report.status = if outcome.edits.is_some() { Status::Replayed } else { Status::Unchanged };
        report.learned = Some(outcome.report);
        Ok((outcome.edits, Some(Arc::new(outcome.learned))))
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
            layers.extend(self.layers.iter().map(|&layer| self.replay.alignment.edited_residual(layer)));
        }
        layers.sort_unstable();
        layers.dedup();
        layers
    }

    #[instrument(skip_all, fields(candidates = candidates.len()))]
    pub(crate) async fn rank(
        &self,
        backend: &mut dyn ReplayBackend,
        candidates: &[usize],
        first: usize,
        base: &Activations,
        rlvr: Option<&Activations>,
    ) -> Result<Selection> {
        let request = RankRequest { layers: &self.layers, candidates, first, rank: &self.replay.rank };
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
            edited_residual: self.replay.alignment.edited_residual(layer.layer),
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
            let mean = |own: &candle_core::Tensor| -> Result<Option<f32>> {
                let kl = base_lens.divergence(&theirs, &rlvr_lens, &select_rows(own, &edit.rows)?)?;
                let known: Vec<f64> = kl.into_iter().filter(|kl| !kl.is_nan()).map(f64::from).collect();
                Ok((!known.is_empty()).then(|| (known.iter().sum::<f64>() / known.len() as f64) as f32))
            };
            let (before, after) = (mean(rlvr.residual(residual)?)?, mean(&edited)?);
            layer.kl = before.zip(after).map(|(before, after)| KlMean { before, after });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Layers;

    #[test]
    fn settings_that_cannot_go_together_are_refused_wherever_they_come_from() {
        let layers = Layers::List(vec![4, 5]);
        let mut learned = Replay::new(Strategy::Learned, layers.clone(), Rule::Top(1));
        learned.learned.inject = 5;
        assert!(Replayer::new(&learned, 8).is_ok());
        // As a profile does that inherits the rest.
        learned.alignment = Alignment::Released;
        let error = Replayer::new(&learned, 8).unwrap_err().to_string();
        assert_eq!(error, "learned.inject = 5 is behind residual[4], the first that is compared");
        let below = Replay::new(Strategy::Substitute, layers, Rule::Below(Below::PerLayer(vec![1.0; 7])));
        let error = Replayer::new(&below, 8).unwrap_err().to_string();
        assert_eq!(error, "rank.below has 7 thresholds for 2 policy layers");
    }
}
