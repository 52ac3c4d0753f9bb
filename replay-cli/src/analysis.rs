//! The paper's observation over a set of prompts: how far the RLVR model has moved from the base, layer by layer, by how certain the base
//! was (paper, section 3), and which thresholds select how much.
use std::collections::BTreeMap;

use serde::Serialize;

use replay_core::config::Positions;
use replay_core::{EntropySpread, Observation};

/// Rows of all prompts at one policy layer.
#[derive(Debug, Default)]
struct Rows {
    residual: usize,
    base: Vec<f32>,
    rlvr: Vec<f32>,
    kl: Vec<f32>,
    agree: Vec<bool>,
    /// Of the row's prompt and layer, the largest base entropy.
    largest: Vec<f32>,
    not_finite: usize,
}

/// Collects observations.
#[derive(Debug)]
pub struct Analysis {
    positions: Positions,
    prompts: usize,
    layers: BTreeMap<usize, Rows>,
}

/// What is asked of the collected rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Questions {
    /// Buckets of base entropy, of equal size.
    pub quantiles: usize,
    /// Fractions of the largest entropy of a prompt and layer.
    pub fractions: Vec<f64>,
    /// The share of rows that a calibrated threshold is to select.
    pub share: f64,
}

/// One policy layer over all prompts.
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
    /// Of the base, in nats.
    pub entropy: Option<EntropySpread>,
    /// Mean KL(base || RLVR), in nats.
    pub kl: f64,
    /// Mean KL(base || RLVR) of each bucket of rows, the lowest base entropies first.
    pub kl_by_quantile: Vec<f64>,
    /// Mean base entropy of each bucket.
    pub entropy_by_quantile: Vec<f64>,
    /// Share of rows where both models find the same token likeliest.
    pub agree: f64,
    /// Share of rows where the base is more certain than the RLVR model.
    pub base_below_rlvr: f64,
    /// For each fraction asked for: the share of rows that `fraction_of_max` selects.
    pub selected: Vec<f64>,
    /// The value for `below` that selects the share asked for, in nats.
    pub threshold: f64,
}

impl Analysis {
    /// Nothing observed yet; `positions` says which rows count.
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
            let finite = |&row: &usize| {
                [layer.entropy_base[row], layer.entropy_rlvr[row], layer.kl_before[row]].iter().all(|x| x.is_finite())
            };
            let kept: Vec<usize> = candidates.iter().filter(finite).collect();
            rows.not_finite += candidates.len() - kept.len();
            let largest = kept.iter().map(|&row| layer.entropy_base[row]).fold(f32::NEG_INFINITY, f32::max);
            for row in kept {
                rows.base.push(layer.entropy_base[row]);
                rows.rlvr.push(layer.entropy_rlvr[row]);
                rows.kl.push(layer.kl_before[row]);
                rows.agree.push(layer.agree[row]);
                rows.largest.push(largest);
            }
        }
    }

    /// Prompts added.
    pub fn prompts(&self) -> usize {
        self.prompts
    }

    /// One entry per policy layer that has rows, in layer order.
    pub fn layers(&self, questions: &Questions) -> Vec<LayerAnalysis> {
        let analysed = self.layers.iter().filter(|(_, rows)| !rows.base.is_empty());
        analysed.map(|(&layer, rows)| rows.analysed(layer, questions)).collect()
    }
}

impl Rows {
    fn analysed(&self, layer: usize, questions: &Questions) -> LayerAnalysis {
        let count = self.base.len();
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by(|&a, &b| self.base[a].total_cmp(&self.base[b]).then(a.cmp(&b)));
        let buckets = questions.quantiles.clamp(1, count);
        let bucket = |index: usize| &order[index * count / buckets..(index + 1) * count / buckets];
        let mean_of = |rows: &[usize], values: &[f32]| mean(rows.iter().map(|&row| f64::from(values[row])));
        let share = |keep: &dyn Fn(usize) -> bool| (0..count).filter(|&row| keep(row)).count() as f64 / count as f64;
        let selected = |&fraction: &f64| share(&|row| self.base[row] <= self.largest[row] * fraction as f32);
        // `below` is strict: half-way to the first row that is to stay out.
        let wanted = ((questions.share * count as f64).round() as usize).min(count);
        let at = |index: usize| f64::from(self.base[order[index]]);
        let threshold = match wanted {
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
            selected: questions.fractions.iter().map(selected).collect(),
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
            agree: (0..=base.len()).map(|row| row % 2 == 0).collect(),
            selected: vec![false; base.len() + 1],
        };
        Observation { prompt: PromptMap::new(0, &tokens, |t| t == 9, vec![image]).unwrap(), layers: vec![layer] }
    }

    #[test]
    fn buckets_shares_and_thresholds() {
        let mut analysis = Analysis::new(Positions::Visual);
        analysis.add(&observation(&[4.0, 1.0], &[0.1, 0.9]));
        analysis.add(&observation(&[2.0, 8.0, f32::NAN], &[0.7, 0.3, 0.0]));
        let questions = Questions { quantiles: 2, fractions: vec![0.25, 1.0], share: 0.5 };
        let layer = analysis.layers(&questions).remove(0);
        assert_eq!((analysis.prompts(), layer.layer, layer.residual, layer.rows, layer.not_finite), (2, 3, 4, 4, 1));
        assert!((layer.kl - 0.5).abs() < 1e-6);
        let close = |got: &[f64], want: &[f64]| got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-6);
        assert!(close(&layer.kl_by_quantile, &[0.8, 0.2]) && close(&layer.entropy_by_quantile, &[1.5, 6.0]));
        // 1 of at most 4, and 2 of at most 8.
        assert!(close(&layer.selected, &[0.5, 1.0]));
        assert!(close(&[layer.threshold, layer.agree, layer.base_below_rlvr], &[3.0, 0.5, 1.0]));
    }

    #[test]
    fn all_rows_count_if_asked_for() {
        let mut analysis = Analysis::new(Positions::All);
        analysis.add(&observation(&[4.0, 1.0], &[0.1, 0.9]));
        let questions = Questions { quantiles: 5, fractions: vec![], share: 1.0 };
        let layer = analysis.layers(&questions).remove(0);
        assert_eq!((layer.rows, layer.kl_by_quantile.len()), (3, 3));
        assert!(layer.threshold > 4.0 && layer.threshold < 4.001);
    }
}
