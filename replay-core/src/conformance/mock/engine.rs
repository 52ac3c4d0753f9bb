//! Prefills of the mock engine.
use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::Fault;
use super::backend::Backend;
use super::model::{LAYERS, tensor};
use super::pair::MockPair;
use crate::conformance::{Observed, Plan, Prefill, Subject};
use crate::lens::LogitLens;
use crate::substitute::Edits;
use crate::{Error, Result, Role};

/// The mock engine: a pair, and the edits that are armed for each prompt.
#[derive(Debug)]
pub(super) struct Mock {
    pair: MockPair,
    armed: HashMap<usize, Arc<Edits>>,
}

impl Mock {
    pub(super) fn new(pair: MockPair) -> Self {
        Self { pair, armed: HashMap::new() }
    }

    /// The real prefill: log-probabilities of the first generated token.
    fn forward(&self, prompt: usize, edits: Option<&Edits>, perturbed: bool) -> Result<Vec<f32>> {
        let mut stream = self.pair.model(Role::Rlvr).embed(&self.pair.prompts[prompt], prompt as u32);
        if perturbed {
            stream[0][0] += 0.01;
        }
        for layer in 0..=LAYERS {
            let edited = if self.pair.has(Fault::EditsOneLayerLate) { layer.checked_sub(1) } else { Some(layer) };
            if let (Some(edits), Some(edited)) = (edits, edited)
                && let Some(rows) = edits.apply(edited, &tensor(&stream)?)?
            {
                let rows: Vec<Vec<f32>> = rows.to_vec2()?;
                let shift = usize::from(self.pair.has(Fault::EditsShifted));
                let edit = edits.layer(edited).ok_or(Error::NotCaptured { role: Role::Base, layer })?;
                for row in edit.rows().iter() {
                    let to = (row + shift).min(stream.len() - 1);
                    stream[to].copy_from_slice(&rows[row]);
                }
            }
            if layer < LAYERS {
                stream = self.pair.model(Role::Rlvr).layer(layer, &stream);
            }
        }
        let last = tensor(&stream[stream.len() - 1..].to_vec())?;
        let logits = self.pair.model(Role::Rlvr).logits(&last)?.flatten_all()?.to_vec1::<f32>()?;
        let sum: f32 = logits.iter().map(|x| x.exp()).sum();
        Ok(logits.iter().map(|x| x - sum.ln() + self.pair.noise.next()).collect())
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
            let mut backend = Backend::new(&self.pair, *prompt)?;
            let observed = if plan.0.is_empty() { Observed::default() } else { plan.run(&mut backend).await? };
            let (edits, captured) = (backend.edits.take(), backend.passes > 0);
            if let Some(edits) = edits.filter(|_| !self.pair.has(Fault::EditsIgnored)) {
                self.armed.insert(*prompt, edits);
            }
            perturbed.push(captured && self.pair.has(Fault::CapturePerturbs));
            prefills.push(Prefill { log_probs: Vec::new(), observed });
        }
        for (place, (prompt, _)) in batch.iter().enumerate() {
            let mut edits = self.armed.get(prompt);
            if self.pair.has(Fault::EditsForTheWholeBatch) {
                edits = edits.or(batch.iter().find_map(|(other, _)| self.armed.get(other)));
            }
            prefills[place].log_probs = self.forward(*prompt, edits.map(|edits| &**edits), perturbed[place])?;
        }
        if !self.pair.has(Fault::EditsStayArmed) {
            self.armed.clear();
        }
        Ok(prefills)
    }
}
