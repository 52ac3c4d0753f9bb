//! The paper's analysis (section 3) over a set of prompts: the divergence of the RLVR model from the base, by layer and by the base's
//! entropy, and the share of rows that thresholds select.
mod gate;

use std::collections::BTreeMap;

use serde::Serialize;

use replay_core::config::Positions;
use replay_core::{EntropySpread, Observation};

pub use gate::{GateCalibration, Spread, calibrate};

/// Rows of all prompts at one policy layer.
#[derive(Debug, Default)]
struct Rows {
    residual: usize,
    base: Vec<f32>,
    rlvr: Vec<f32>,
    kl: Vec<f32>,
    agree: Vec<bool>,
    /// The largest base entropy of the row's prompt and layer.
    max_entropy: Vec<f32>,
    not_finite: usize,
    /// The mean drift of the text rows of each prompt.
    text_drift: Vec<f64>,
}

/// Collects the observations of many prompts.
#[derive(Debug)]
pub struct Analysis {
    positions: Positions,
    prompts: usize,
    layers: BTreeMap<usize, Rows>,
}

/// Parameters of the analysis.
#[derive(Debug, Clone, PartialEq)]
pub struct AnalysisSettings {
    /// Number of buckets of base entropy, with equal numbers of rows.
    pub quantiles: usize,
    /// Fractions of the largest entropy of a prompt and layer.
    pub fractions: Vec<f64>,
    /// The share of rows that a calibrated threshold is to select.
    pub share: f64,
}

/// The analysis of one policy layer over all prompts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerAnalysis {
    /// The policy layer.
    pub layer: usize,
    /// The residual that was read: the layer's output.
    pub residual: usize,
    /// Rows with finite values.
    pub rows: usize,
    /// Rows left out because an entropy or divergence is not finite.
    pub not_finite: usize,
    /// Lowest, mean and highest base entropy, in nats.
    pub entropy: Option<EntropySpread>,
    /// Mean KL(base || RLVR), in nats.
    pub kl: f64,
    /// Mean KL(base || RLVR) of each bucket of rows, the lowest base entropies first.
    pub kl_by_quantile: Vec<f64>,
    /// Mean base entropy of each bucket.
    pub entropy_by_quantile: Vec<f64>,
    /// Share of rows where both models have the same likeliest token.
    pub agree: f64,
    /// Share of rows where the base is more certain than the RLVR model.
    pub base_below_rlvr: f64,
    /// The share of rows that `fraction_of_max` selects, for each of [`AnalysisSettings::fractions`].
    pub selected: Vec<f64>,
    /// The value for `below` that selects [`AnalysisSettings::share`] of the rows, in nats.
    pub threshold: f64,
}

impl Analysis {
    /// An analysis without prompts; `positions` says which rows it includes.
    pub fn new(positions: Positions) -> Self {
        Self { positions, prompts: 0, layers: BTreeMap::new() }
    }

    /// Adds the rows of one prompt.
    pub fn add(&mut self, observation: &Observation) {
        self.prompts += 1;
        let candidates = observation.prompt.candidates(self.positions);
        for layer in &observation.layers {
            let rows = self.layers.entry(layer.layer).or_default();
            rows.residual = layer.residual;
            let text = observation.prompt.rows().iter().filter(|row| row.visual.is_none());
            let text: Vec<f64> = text.map(|row| f64::from(layer.drift[row.position])).collect();
            rows.text_drift.push(mean(text.into_iter()));
            let finite = |&row: &usize| {
                [layer.entropy_base[row], layer.entropy_rlvr[row], layer.kl_before[row]].iter().all(|x| x.is_finite())
            };
            let kept: Vec<usize> = candidates.iter().filter(finite).collect();
            rows.not_finite += candidates.len() - kept.len();
            let max_entropy = kept.iter().map(|&row| layer.entropy_base[row]).fold(f32::NEG_INFINITY, f32::max);
            for row in kept {
                rows.base.push(layer.entropy_base[row]);
                rows.rlvr.push(layer.entropy_rlvr[row]);
                rows.kl.push(layer.kl_before[row]);
                rows.agree.push(layer.agree[row]);
                rows.max_entropy.push(max_entropy);
            }
        }
    }

    /// How many prompts were added.
    pub fn prompts(&self) -> usize {
        self.prompts
    }

    /// The mean drift of the text rows at each residual, one value for each prompt: what `[replay.gate]` measures.
    pub fn text_drift(&self) -> impl Iterator<Item = (usize, &[f64])> {
        self.layers.values().map(|rows| (rows.residual, rows.text_drift.as_slice()))
    }

    /// One entry per policy layer that has rows, in layer order.
    pub fn layers(&self, settings: &AnalysisSettings) -> Vec<LayerAnalysis> {
        let nonempty = self.layers.iter().filter(|(_, rows)| !rows.base.is_empty());
        nonempty.map(|(&layer, rows)| rows.analyse(layer, settings)).collect()
    }
}

impl Rows {
    fn analyse(&self, layer: usize, settings: &AnalysisSettings) -> LayerAnalysis {
        let count = self.base.len();
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by(|&a, &b| self.base[a].total_cmp(&self.base[b]).then(a.cmp(&b)));
        let buckets = settings.quantiles.clamp(1, count);
        let bucket = |index: usize| &order[index * count / buckets..(index + 1) * count / buckets];
        let mean_of = |rows: &[usize], values: &[f32]| mean(rows.iter().map(|&row| f64::from(values[row])));
        let share = |keep: &dyn Fn(usize) -> bool| (0..count).filter(|&row| keep(row)).count() as f64 / count as f64;
        let selected = |&fraction: &f64| share(&|row| self.base[row] <= self.max_entropy[row] * fraction as f32);
        // `below` is strict, so the threshold lies half-way between the last selected row and the next one.
        let selected_count = ((settings.share * count as f64).round() as usize).min(count);
        let at = |index: usize| f64::from(self.base[order[index]]);
        let threshold = match selected_count {
            0 => at(0),
            n if n == count => f64::from(self.base[order[n - 1]].next_up()),
            n => f64::midpoint(at(n - 1), at(n)),
        };
        LayerAnalysis {
            layer,
            residual: self.residual,
            rows: count,
            not_finite: self.not_finite,
            entropy: EntropySpread::of(&self.base),
            kl: mean(self.kl.iter().map(|&kl| f64::from(kl))),
            kl_by_quantile: (0..buckets).map(|index| mean_of(bucket(index), &self.kl)).collect(),
            entropy_by_quantile: (0..buckets).map(|index| mean_of(bucket(index), &self.base)).collect(),
            agree: share(&|row| self.agree[row]),
            base_below_rlvr: share(&|row| self.base[row] < self.rlvr[row]),
            selected: settings.fractions.iter().map(selected).collect(),
            threshold,
        }
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len();
    if count == 0 { 0.0 } else { values.sum::<f64>() / count as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use replay_core::{Grid, Image, ImageContent, LayerObservation, PromptMap};

    /// One text row, then visual rows with these base entropies; the RLVR model is always one nat less certain.
    fn observation(base: &[f32], kl: &[f32]) -> Observation {
        let tokens: Vec<u32> = std::iter::once(1).chain(base.iter().map(|_| 9)).collect();
        let grid = Grid { frames: 1, rows: 1, columns: base.len() };
        let image = Image::with_grid(grid, ImageContent::of(1, 1, "", &[]));
        let with_text = |values: &[f32]| std::iter::once(0.5).chain(values.iter().copied()).collect::<Vec<f32>>();
        let layer = LayerObservation {
            layer: 3,
            residual: 4,
            entropy_base: with_text(base),
            entropy_rlvr: with_text(base).iter().map(|x| x + 1.0).collect(),
            kl_before: with_text(kl),
            kl_after: vec![],
            drift: with_text(kl),
            agree: (0..=base.len()).map(|row| row % 2 == 0).collect(),
            selected: vec![false; base.len() + 1],
        };
        Observation { prompt: PromptMap::new(0, &tokens, |t| t == 9, vec![image]).unwrap(), layers: vec![layer] }
    }

    #[test]
    fn buckets_shares_and_thresholds_are_those_of_two_prompts() {
        let mut analysis = Analysis::new(Positions::Visual);
        analysis.add(&observation(&[4.0, 1.0], &[0.1, 0.9]));
        analysis.add(&observation(&[2.0, 8.0, f32::NAN], &[0.7, 0.3, 0.0]));
        let settings = AnalysisSettings { quantiles: 2, fractions: vec![0.25, 1.0], share: 0.5 };
        let layer = analysis.layers(&settings).remove(0);
        assert_eq!((analysis.prompts(), layer.layer, layer.residual, layer.rows, layer.not_finite), (2, 3, 4, 4, 1));
        assert!((layer.kl - 0.5).abs() < 1e-6);
        let close = |got: &[f64], want: &[f64]| got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-6);
        assert!(close(&layer.kl_by_quantile, &[0.8, 0.2]) && close(&layer.entropy_by_quantile, &[1.5, 6.0]));
        // 1 of at most 4, and 2 of at most 8.
        assert!(close(&layer.selected, &[0.5, 1.0]));
        assert!(close(&[layer.threshold, layer.agree, layer.base_below_rlvr], &[3.0, 0.5, 1.0]));
    }

    #[test]
    fn the_drift_of_text_rows_is_kept_for_each_prompt() {
        let mut analysis = Analysis::new(Positions::Visual);
        analysis.add(&observation(&[4.0, 1.0], &[0.1, 0.9]));
        analysis.add(&observation(&[2.0], &[0.7]));
        let drift: Vec<_> = analysis.text_drift().collect();
        assert_eq!(drift, [(4, &[0.5, 0.5][..])]);
    }

    #[test]
    fn positions_all_includes_text_rows() {
        let mut analysis = Analysis::new(Positions::All);
        analysis.add(&observation(&[4.0, 1.0], &[0.1, 0.9]));
        let settings = AnalysisSettings { quantiles: 5, fractions: vec![], share: 1.0 };
        let layer = analysis.layers(&settings).remove(0);
        assert_eq!((layer.rows, layer.kl_by_quantile.len()), (3, 3));
        assert!(layer.threshold > 4.0 && layer.threshold < 4.001);
    }
}
