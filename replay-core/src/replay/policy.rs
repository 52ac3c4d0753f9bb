//! The policy: settings applied to models of one depth, with the residuals that they need.
use tracing::instrument;

use crate::config::{Alignment, Keep, Loss, Replay, Strategy};
use crate::error::Mismatch;
use crate::lens::LensRows;
use crate::rank::{self, LayerEntropies, Selection, ranked_residual};
use crate::{Activations, Error, ReplayBackend, Result, RowSet};

/// Settings, and their policy layers in models of one depth.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    replay: Replay,
    layers: Vec<usize>,
}

impl Policy {
    /// Applies settings to models of `decoder_layers` layers.
    ///
    /// # Errors
    /// [`Error::Settings`] if the models have too few layers, or the settings contradict each other.
    pub(crate) fn new(replay: &Replay, decoder_layers: usize) -> Result<Self> {
        let replay = replay.clone();
        let layers = replay.layers.policy_layers(decoder_layers).map_err(|e| {
            Error::Settings(Mismatch::new(
                "replay.layers",
                format!("layers of a model with {decoder_layers} decoder layers"),
                format!("layer {} (counted from 0)", e.layer),
                format!("ask for at most the first {decoder_layers}"),
            ))
        })?;
        // The reader of a file reports the same with a line, but settings may also be inherited or built in code.
        rank::check_thresholds(&replay.rank, layers.len())?;
        let compared = layers.first().map_or(0, |&layer| replay.alignment.edited_residual(layer));
        if replay.strategy == Strategy::Learned && replay.learned.inject > compared {
            return Err(Error::Settings(Mismatch::new(
                "learned.inject",
                format!("at most {compared}, the first residual that is compared"),
                replay.learned.inject,
                "inject earlier, or choose later policy layers",
            )));
        }
        let last = layers.last().map_or(0, |&layer| ranked_residual(layer));
        if let (Some(residual), Some(_)) = (replay.gate.residual, replay.gate.drift_below)
            && residual > last
        {
            return Err(Error::Settings(Mismatch::new(
                "gate.residual",
                format!("at most {last}, the output of the last policy layer"),
                residual,
                "compare the models earlier",
            )));
        }
        let states = replay.strategy == Strategy::Learned && replay.learned.loss == Loss::Residual;
        if states && replay.alignment == Alignment::Released {
            return Err(Error::Settings(Mismatch::new(
                "learned.loss",
                "\"lens\" with alignment \"released\"",
                "\"residual\"",
                "hidden states of different layers cannot be compared: use alignment \"aligned\"",
            )));
        }
        Ok(Self { replay, layers })
    }

    /// The settings.
    pub(crate) fn settings(&self) -> &Replay {
        &self.replay
    }

    /// The policy layers, ascending.
    pub(crate) fn layers(&self) -> &[usize] {
        &self.layers
    }

    /// The residual at which the gate compares the models, and its threshold; `None` without a gate.
    pub(crate) fn gate(&self) -> Option<(usize, f64)> {
        let gate = &self.replay.gate;
        let first = self.layers.first().map_or(1, |&layer| ranked_residual(layer));
        Some((gate.residual.unwrap_or(first), gate.drift_below?))
    }

    /// The residuals that are ranked, ascending.
    pub(crate) fn ranked_residuals(&self) -> Vec<usize> {
        self.layers.iter().map(|&layer| ranked_residual(layer)).collect()
    }

    /// The last residual that any step needs.
    pub(crate) fn last_residual(&self) -> usize {
        self.layers.last().map_or(0, |&layer| ranked_residual(layer))
    }

    /// Residuals of the base that substitution reads, ascending: those that are ranked and those that replace the RLVR model's.
    pub(crate) fn base_residuals(&self) -> Vec<usize> {
        let mut residuals = self.ranked_residuals();
        if self.replay.alignment == Alignment::Released {
            residuals.extend(&self.layers);
        }
        residuals.sort_unstable();
        residuals.dedup();
        residuals
    }

    /// Whether the ranking needs a clean RLVR pass.
    pub(crate) fn compares_models(&self) -> bool {
        self.replay.rank.base_below_rlvr || self.replay.rank.keep == Keep::Drifted
    }

    /// Residuals of a clean RLVR pass that substitution reads, ascending; empty if the settings need no such pass.
    pub(crate) fn rlvr_residuals(&self) -> Vec<usize> {
        let mut residuals = Vec::new();
        if self.compares_models() {
            residuals.extend(self.ranked_residuals());
        }
        if self.replay.measure_kl {
            residuals.extend(self.layers.iter().map(|&layer| self.replay.alignment.edited_residual(layer)));
        }
        residuals.sort_unstable();
        residuals.dedup();
        residuals
    }

    /// Step 2: asks the backend for entropies, and ranks them. The RLVR model's are computed only for rows that the rule selects.
    ///
    /// # Errors
    /// Those of the backend's lens; [`Error::NotCaptured`] if `base_below_rlvr` is on and `rlvr` is missing.
    #[instrument(skip_all, fields(candidates = candidates.len()))]
    pub(crate) async fn rank(
        &self,
        backend: &mut dyn ReplayBackend,
        candidates: &RowSet,
        base: &Activations,
        rlvr: Option<&Activations>,
    ) -> Result<Selection> {
        let mut rank = self.replay.rank.clone();
        rank.seed = rank::seed_of(rank.seed, backend.prompt());
        let rank = &rank;
        let base_entropies = self.entropies(backend, base, vec![candidates.clone(); self.layers.len()]).await?;
        let rlvr_entropies = match rlvr {
            Some(rlvr) if rank.base_below_rlvr => {
                let rows = rank::selected_by_rule(rank, &base_entropies)?;
                Some(self.entropies(backend, rlvr, rows).await?)
            }
            _ => None,
        };
        let mut selection = rank::select(rank, &base_entropies, rlvr_entropies.as_deref())?;
        if let (Keep::Drifted, Some(rlvr)) = (rank.keep, rlvr) {
            rank::reselect(&mut selection, candidates, base, rlvr)?;
        }
        Ok(selection)
    }

    /// Entropies of some rows of each policy layer.
    async fn entropies(
        &self,
        backend: &mut dyn ReplayBackend,
        activations: &Activations,
        rows: Vec<RowSet>,
    ) -> Result<Vec<LayerEntropies>> {
        let wanted = self.layers.iter().zip(rows);
        let wanted: Vec<LensRows> =
            wanted.map(|(&layer, rows)| LensRows { residual: ranked_residual(layer), rows }).collect();
        let values = backend.entropies(activations, &wanted, self.replay.lens_memory).await?;
        if values.len() != wanted.len() {
            return Err(Error::size("layers of entropies", wanted.len(), values.len()));
        }
        let layers = self.layers.iter().zip(wanted).zip(values);
        layers.map(|((&layer, wanted), values)| LayerEntropies::new(layer, wanted.rows, values)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Below, Layers, Rule};

    #[test]
    fn contradicting_settings_are_refused_when_built_in_code() {
        let layers = Layers::List(vec![4, 5]);
        let mut learned = Replay::new(Strategy::Learned, layers.clone(), Rule::Top(1));
        learned.learned.inject = 5;
        assert!(Policy::new(&learned, 8).is_ok());
        let refused = |replay: &Replay, layers, expected: &str| {
            let error = Policy::new(replay, layers).unwrap_err();
            assert!(matches!(error, Error::Settings(_)));
            assert_eq!(error.to_string(), expected);
        };
        // A profile can change the alignment and inherit `inject`.
        learned.alignment = Alignment::Released;
        refused(
            &learned,
            8,
            "learned.inject: expected at most 4, the first residual that is compared, got 5; inject earlier, or choose later policy layers",
        );
        let below = Replay::new(Strategy::Substitute, layers, Rule::Below(Below::PerLayer(vec![1.0; 7])));
        refused(
            &below,
            8,
            "rank.below: expected a threshold for each of 2 policy layers, got 7 thresholds; give one threshold per layer, or a single one for all",
        );
        refused(
            &below,
            5,
            "replay.layers: expected layers of a model with 5 decoder layers, got layer 5 (counted from 0); ask for at most the first 5",
        );
    }
}
