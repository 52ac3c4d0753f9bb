//! What both models make of every row of a prompt, layer by layer: the paper's analysis, for one prompt.
use std::sync::Arc;

use serde::Serialize;

use crate::learned::Learned;
use crate::lens::StreamedLens;
use crate::rank::ranked_residual;
use crate::substitute::Edits;
use crate::{PromptMap, ReplayBackend, Replayer, Result, Role};

/// The rows of one prompt at the output of one policy layer, in prompt order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerObservation {
    /// The policy layer.
    pub layer: usize,
    /// The residual that was read: the layer's output.
    pub residual: usize,
    /// `H_base`, in nats.
    pub entropy_base: Vec<f32>,
    /// `H_rlvr` of a clean pass, in nats.
    pub entropy_rlvr: Vec<f32>,
    /// KL(base || RLVR) of clean passes, in nats over the whole vocabulary.
    pub kl_before: Vec<f32>,
    /// KL(base || RLVR) with the edits in the RLVR model's pass; empty if there are none.
    pub kl_after: Vec<f32>,
    /// Whether both models find the same token likeliest.
    pub agree: Vec<bool>,
    /// Whether the policy selects the row.
    pub selected: Vec<bool>,
}

/// What both models make of one prompt.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Observation {
    /// The labelled rows.
    pub prompt: PromptMap,
    /// One entry per policy layer.
    pub layers: Vec<LayerObservation>,
}

impl Replayer {
    /// Clean passes of both models, and one with `edits` in it if the backend can, read by both lenses at every row. Arms nothing.
    ///
    /// # Errors
    /// Those of the backend's steps.
    pub async fn observe(
        &self,
        backend: &mut dyn ReplayBackend,
        edits: Option<Arc<Edits>>,
        learned: Option<&Learned>,
    ) -> Result<Observation> {
        let prompt = backend.prompt().clone();
        let rows = prompt.len();
        let layers: Vec<usize> = self.policy_layers().iter().map(|&layer| ranked_residual(layer)).collect();
        let base = backend.capture(Role::Base, &layers).await?;
        let rlvr = backend.capture(Role::Rlvr, &layers).await?;
        let edited = match edits {
            Some(edits) => backend.capture_edited(&layers, edits).await?,
            None => None,
        };
        let candidates = prompt.candidates(self.settings().positions);
        let selection = self.rank(backend, &candidates, 0, &base, Some(&rlvr)).await?;

        let (base_lens, rlvr_lens) = (backend.lens(Role::Base), backend.lens(Role::Rlvr));
        let memory = self.settings().lens_memory;
        let (base_lens, rlvr_lens) = (StreamedLens::new(&*base_lens, memory), StreamedLens::new(&*rlvr_lens, memory));
        let observed = selection.layers.iter().enumerate().map(|(index, selected)| {
            // What was learned with, where something was.
            let chosen = learned.and_then(|learned| learned.selected.get(index)).unwrap_or(&selected.rows);
            let residual = ranked_residual(selected.layer);
            let compared = base_lens.compare(base.residual(residual)?, &rlvr_lens, rlvr.residual(residual)?)?;
            let kl_after = match &edited {
                Some(edited) => {
                    base_lens.divergence(base.residual(residual)?, &rlvr_lens, edited.residual(residual)?)?
                }
                None => Vec::new(),
            };
            Ok(LayerObservation {
                layer: selected.layer,
                residual,
                entropy_base: compared.iter().map(|row| row.mine).collect(),
                entropy_rlvr: compared.iter().map(|row| row.theirs).collect(),
                kl_before: compared.iter().map(|row| row.divergence).collect(),
                kl_after,
                agree: compared.iter().map(|row| row.agree).collect(),
                selected: (0..rows).map(|row| chosen.binary_search(&row).is_ok()).collect(),
            })
        });
        Ok(Observation { layers: observed.collect::<Result<_>>()?, prompt })
    }
}
