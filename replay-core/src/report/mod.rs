//! The report of replaying one prompt.
#[cfg(feature = "tables")]
pub mod tables;

use serde::Serialize;

use crate::config::{Alignment, Loss, Solver, Strategy};
use crate::learned::Stop;
use crate::rank::{EntropySpread, LayerSelection, Selection};

/// The result of replay for one prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The prefill runs with edits.
    Replayed,
    /// The policy selected no row: the prefill is the engine's own.
    NothingSelected,
    /// Rows were selected, but there was nothing to learn: the models agree there, or no step lowered the loss. The prefill is the
    /// engine's own.
    Unchanged,
    /// The prefill is the engine's own, for the reason that the report gives.
    Passthrough,
}

/// How far the models are apart, as a mean over the selected rows of one layer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BeforeAfter {
    /// Between clean passes of both models.
    pub before: f32,
    /// With the edits in the RLVR model.
    pub after: f32,
}

/// The report of one policy layer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerReport {
    /// The policy layer.
    pub layer: usize,
    /// The residual that was edited, or (strategy `learned`) compared.
    pub edited_residual: usize,
    /// Candidate rows with a finite entropy.
    pub ranked: usize,
    /// Candidate rows left out because their entropy is not finite.
    pub not_finite: usize,
    /// Rows selected.
    pub selected: usize,
    /// Base entropies of the ranked rows; `None` if there are none.
    pub entropy: Option<EntropySpread>,
    /// Mean KL(base || RLVR) in nats, each model read with its own lens; `None` if no row was selected. Strategy `substitute`, with
    /// `measure_kl` only: over the whole vocabulary, `after` is the clean RLVR residual with the edits of this layer only, and rows that are
    /// not finite in one of the models are left out. Strategy `learned` with loss `lens`: over the base's `top_tokens` likeliest entries.
    pub kl: Option<BeforeAfter>,
    /// Mean relative squared distance of the hidden states, with loss `residual`; `None` if no row was selected.
    pub distance: Option<BeforeAfter>,
}

/// Wall-clock milliseconds of each step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Milliseconds {
    /// The pass through the base.
    pub capture_base: f64,
    /// The clean pass through the RLVR model, where the rule needs one.
    pub capture_rlvr: f64,
    /// Lens and ranking.
    pub rank: f64,
    /// The base's likeliest tokens, for strategy `learned`.
    pub targets: f64,
    /// Learning the delta.
    pub learn: f64,
    /// Building the edits.
    pub substitute: f64,
    /// The passes of the gate.
    pub gate: f64,
    /// Measuring divergences.
    pub measure_kl: f64,
}

/// How a delta was learned.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LearnedReport {
    /// The solver that ran.
    pub solver: Solver,
    /// What the loss compares.
    pub loss: Loss,
    /// The residual to which the delta is added.
    pub inject: usize,
    /// Passes: evaluations of loss and gradient.
    pub iterations: usize,
    /// The loss at each pass.
    pub losses: Vec<f64>,
    /// The loss of the delta that is used.
    pub final_loss: f64,
    /// Euclidean norm of the delta.
    pub delta_norm: f64,
    /// Euclidean norm of each row of the delta.
    pub delta_norms: Vec<f32>,
    /// Why the solver ended.
    pub stop: Stop,
}

/// What the gate measured for one prompt.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct GateReport {
    /// The residual at which the models were compared.
    pub residual: usize,
    /// Mean of `|rlvr - base| / |base|` over the text rows.
    pub drift: f64,
    /// The threshold.
    pub drift_below: f64,
    /// Whether the gate is open: the prompt is replayed.
    pub open: bool,
}

impl GateReport {
    /// Why a closed gate lets the prompt pass without replay.
    pub(crate) fn reason(&self) -> String {
        format!(
            "the gate is closed: the text rows drift by {:.4} at residual[{}], which is not below {}",
            self.drift, self.residual, self.drift_below
        )
    }
}

/// The precision of each model: of its activations, and the quantisation of its weights, if any.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Precision {
    /// The base.
    pub base: String,
    /// The RLVR model.
    pub rlvr: String,
}

/// The report of replaying one prompt.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The result.
    pub status: Status,
    /// Why the prompt was passed through, if it was.
    pub reason: Option<String>,
    /// The strategy of the configuration.
    pub strategy: Strategy,
    /// The alignment of the configuration.
    pub alignment: Alignment,
    /// Fingerprint of the effective configuration. Equal fingerprints give equal results for equal models and prompts, unless a time budget
    /// is set.
    pub fingerprint: String,
    /// The precision of the models; `None` if the prompt was passed through. Entropies are those of the models as quantised.
    pub precision: Option<Precision>,
    /// Rows of the prompt.
    pub rows: usize,
    /// Visual rows among them.
    pub visual_rows: usize,
    /// Images of the prompt.
    pub images: usize,
    /// One entry per policy layer; empty if replay did not get that far.
    pub layers: Vec<LayerReport>,
    /// What the gate measured; `None` without a gate.
    pub gate: Option<GateReport>,
    /// How the delta was learned; `None` with strategy `substitute`, or if no row was selected.
    pub learned: Option<LearnedReport>,
    /// 1 if the edits came from the cache, else 0.
    pub cache_hits: usize,
    /// Wall-clock times.
    pub milliseconds: Milliseconds,
}

impl Report {
    /// Rows selected over all policy layers.
    pub fn selected(&self) -> usize {
        self.layers.iter().map(|layer| layer.selected).sum()
    }

    /// Sets the reports of the policy layers from a selection.
    pub(crate) fn set_layers(&mut self, selection: &Selection, alignment: Alignment) {
        let report = |layer: &LayerSelection| LayerReport {
            layer: layer.layer,
            edited_residual: alignment.edited_residual(layer.layer),
            ranked: layer.ranked,
            not_finite: layer.not_finite,
            selected: layer.rows.len(),
            entropy: layer.entropy,
            kl: None,
            distance: None,
        };
        self.layers = selection.layers.iter().map(report).collect();
    }
}
