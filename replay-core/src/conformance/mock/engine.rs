//! The mock engine.
use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::backend::Backend;
use super::model::{HIDDEN, LAYERS, Model, PLACEHOLDER, VOCABULARY, tensor};
use super::{Fault, Noise};
use crate::conformance::{Observed, Plan, Prefill, Subject};
use crate::lens::LogitLens;
use crate::substitute::Edits;
use crate::{Error, ModelInfo, PairInfo, Result, Role};

/// The mock engine: two prompts with two images of 2x2 and 1x2 tokens each.
#[derive(Debug)]
pub(super) struct Mock {
    fault: Option<Fault>,
    pub(super) noise: Noise,
    base: Model,
    rlvr: Model,
    pub(super) pair: PairInfo,
    pub(super) prompts: [Vec<u32>; 2],
    armed: HashMap<usize, Arc<Edits>>,
}

impl Mock {
    pub(super) fn new(fault: Option<Fault>, noise: Noise, twins: bool) -> Self {
        let info = |id: &str| ModelInfo {
            id: id.into(),
            architecture: "mock".into(),
            decoder_layers: LAYERS,
            loaded_layers: LAYERS,
            hidden: HIDDEN,
            vocabulary: VOCABULARY,
            dtype: "F32".into(),
            fingerprint: format!("{id} {twins}"),
        };
        let prompt = |first: u32| {
            let images = [vec![first, 2], vec![PLACEHOLDER; 4], vec![3], vec![PLACEHOLDER; 2], vec![4, first + 5]];
            images.concat()
        };
        Self {
            fault,
            noise,
            base: Model { seed: if twins { 7 } else { 8 } },
            rlvr: Model { seed: 7 },
            pair: PairInfo { base: info("mock-base"), rlvr: info("mock-rlvr") },
            prompts: [prompt(1), prompt(6)],
            armed: HashMap::new(),
        }
    }

    pub(super) fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    pub(super) fn model(&self, role: Role) -> &Model {
        match role {
            Role::Base => &self.base,
            Role::Rlvr => &self.rlvr,
        }
    }

    /// The real prefill: log-probabilities of the first generated token.
    fn forward(&self, prompt: usize, edits: Option<&Edits>, perturbed: bool) -> Result<Vec<f32>> {
        let mut stream = self.rlvr.embed(&self.prompts[prompt], prompt as u32);
        if perturbed {
            stream[0][0] += 0.01;
        }
        for layer in 0..=LAYERS {
            let edited = if self.has(Fault::EditsOneLayerLate) { layer.checked_sub(1) } else { Some(layer) };
            if let (Some(edits), Some(edited)) = (edits, edited)
                && let Some(rows) = edits.apply(edited, &tensor(&stream)?)?
            {
                let rows: Vec<Vec<f32>> = rows.to_vec2()?;
                let shift = usize::from(self.has(Fault::EditsShifted));
                let edit = edits.layer(edited).ok_or(Error::NotCaptured { role: Role::Base, layer })?;
                for row in edit.rows().iter() {
                    let to = (row + shift).min(stream.len() - 1);
                    stream[to].copy_from_slice(&rows[row]);
                }
            }
            if layer < LAYERS {
                stream = self.rlvr.layer(layer, &stream);
            }
        }
        let last = tensor(&stream[stream.len() - 1..].to_vec())?;
        let logits = self.rlvr.logits(&last)?.flatten_all()?.to_vec1::<f32>()?;
        let sum: f32 = logits.iter().map(|x| x.exp()).sum();
        Ok(logits.iter().map(|x| x - sum.ln() + self.noise.next()).collect())
    }
}

#[async_trait(?Send)]
impl Subject for Mock {
    fn decoder_layers(&self) -> usize {
        LAYERS
    }

    async fn prefill(&mut self, batch: Vec<(usize, Plan)>) -> Result<Vec<Prefill>> {
        let mut prefills = Vec::new();
        let mut perturbed = Vec::new();
        for (prompt, plan) in &batch {
            let mut backend = Backend::new(self, *prompt)?;
            let observed = if plan.0.is_empty() { Observed::default() } else { plan.run(&mut backend).await? };
            let (edits, captured) = (backend.edits.take(), backend.passes > 0);
            if let Some(edits) = edits.filter(|_| !self.has(Fault::EditsIgnored)) {
                self.armed.insert(*prompt, edits);
            }
            perturbed.push(captured && self.has(Fault::CapturePerturbs));
            prefills.push(Prefill { log_probs: Vec::new(), observed });
        }
        for (place, (prompt, _)) in batch.iter().enumerate() {
            let mut edits = self.armed.get(prompt);
            if self.has(Fault::EditsForTheWholeBatch) {
                edits = edits.or(batch.iter().find_map(|(other, _)| self.armed.get(other)));
            }
            prefills[place].log_probs = self.forward(*prompt, edits.map(|edits| &**edits), perturbed[place])?;
        }
        if !self.has(Fault::EditsStayArmed) {
            self.armed.clear();
        }
        Ok(prefills)
    }
}
