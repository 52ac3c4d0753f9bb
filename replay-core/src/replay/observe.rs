//! Comparison of both models at every row of one prompt, layer by layer (the paper's analysis, section 3).
use std::sync::Arc;

use serde::Serialize;

use crate::learned::LearnedDelta;
use crate::lens::StreamedLens;
use crate::rank::{self, ranked_residual};
use crate::substitute::Edits;
use crate::{PromptMap, ReplayBackend, Replayer, Result, Role, RowSet, yield_now};

/// The rows of one prompt at the output of one policy layer, in prompt order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerObservation {
    /// The policy layer.
    pub layer: usize,
    /// The residual that was read: the layer's output.
    pub residual: usize,
    /// Entropy of the base, `H_base`, in nats.
    pub entropy_base: Vec<f32>,
    /// Entropy of the RLVR model in a clean pass, `H_rlvr`, in nats.
    pub entropy_rlvr: Vec<f32>,
    /// KL(base || RLVR) of clean passes, in nats over the whole vocabulary.
    pub kl_before: Vec<f32>,
    /// KL(base || RLVR) with the edits in the RLVR model's pass; empty if there are none.
    pub kl_after: Vec<f32>,
    /// Relative distance of the hidden states in clean passes, `|rlvr - base| / |base|`.
    pub drift: Vec<f32>,
    /// Whether both models have the same likeliest token.
    pub agree: Vec<bool>,
    /// Whether the policy selects the row.
    pub selected: Vec<bool>,
}

/// Comparison of both models at every row of one prompt.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Observation {
    /// The labelled rows.
    pub prompt: PromptMap,
    /// One entry per policy layer.
    pub layers: Vec<LayerObservation>,
}

impl Replayer {
    /// Runs clean passes of both models, and a pass with `edits` if the backend supports it, and compares both lenses at every row. Arms no
    /// edits.
    ///
    /// # Errors
    /// Those of the backend's steps.
    pub async fn observe(
        &self,
        backend: &mut dyn ReplayBackend,
        edits: Option<Arc<Edits>>,
        learned: Option<&LearnedDelta>,
    ) -> Result<Observation> {
        let prompt = backend.prompt().clone();
        let rows = prompt.len();
        let all = RowSet::all(rows);
        let layers = self.policy().ranked_residuals();
        let base = backend.capture(Role::Base, &layers, &all).await?;
        yield_now().await;
        let rlvr = backend.capture(Role::Rlvr, &layers, &all).await?;
        yield_now().await;
        let edited = match edits {
            Some(edits) => backend.capture_edited(&layers, &all, edits).await?,
            None => None,
        };
        let candidates = prompt.candidates(self.settings().positions);
        let selection = self.policy().rank(backend, &candidates, &base, Some(&rlvr)).await?;

        let (base_lens, rlvr_lens) = (backend.lens(Role::Base), backend.lens(Role::Rlvr));
        let memory = self.settings().lens_memory;
        let (base_lens, rlvr_lens) = (StreamedLens::new(&*base_lens, memory), StreamedLens::new(&*rlvr_lens, memory));
        let mut layers = Vec::with_capacity(selection.layers.len());
        for (index, selected) in selection.layers.iter().enumerate() {
            // With a learned delta, the selection that it was learned with.
            let selected_rows = learned.and_then(|learned| learned.selected.get(index)).unwrap_or(&selected.rows);
            let residual = ranked_residual(selected.layer);
            let (base_rows, rlvr_rows) = (base.select(residual, &all)?, rlvr.select(residual, &all)?);
            let compared = base_lens.compare(&base_rows, &rlvr_lens, &rlvr_rows).await?;
            let kl_after = match &edited {
                Some(edited) => base_lens.divergence(&base_rows, &rlvr_lens, &edited.select(residual, &all)?).await?,
                None => Vec::new(),
            };
            layers.push(LayerObservation {
                layer: selected.layer,
                residual,
                entropy_base: compared.iter().map(|row| row.first_entropy).collect(),
                entropy_rlvr: compared.iter().map(|row| row.second_entropy).collect(),
                kl_before: compared.iter().map(|row| row.divergence).collect(),
                kl_after,
                drift: rank::drift(&base_rows, &rlvr_rows)?,
                agree: compared.iter().map(|row| row.agree).collect(),
                selected: (0..rows).map(|row| selected_rows.contains(row)).collect(),
            });
        }
        Ok(Observation { layers, prompt })
    }
}
