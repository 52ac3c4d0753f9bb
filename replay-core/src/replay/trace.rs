//! Every intermediate result of one prompt, for external checks.
use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};

use crate::learned::LearnedDelta;
use crate::lens::StreamedLens;
use crate::rank::mask;
use crate::{Error, ReplayBackend, Replayer, Result, Role, RowSet, yield_now};

/// Named tensors of one prompt.
///
/// # Shapes
/// `token_ids` `[rows]` and `visual_rows` `[visual]`, u32; `residual.base.{j}`, `residual.rlvr.{j}` `[rows, hidden]` and
/// `entropy.base.{j}`, `entropy.rlvr.{j}` `[rows]`, f32, of clean passes over all rows whatever the policy ranks, for `j` from 0 to the
/// last residual that is ranked; `mask` `[policy layers, rows]`, u8; with strategy `learned`, `learned.delta` `[visual, hidden]` and
/// `learned.losses` `[iterations]`. The caller that runs the real prefill adds `logprobs.plain` and `logprobs.replayed` `[vocabulary]`,
/// natural log-probabilities of the first generated token.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    tensors: HashMap<String, Tensor>,
}

impl Trace {
    /// Adds a tensor under a name of the format.
    pub fn insert(&mut self, name: impl Into<String>, tensor: Tensor) {
        self.tensors.insert(name.into(), tensor);
    }

    /// The tensor of that name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// Writes one safetensors file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        candle_core::safetensors::save(&self.tensors, path).map_err(Error::from)
    }
}

impl Trace {
    /// Adds the learned delta and its losses, `learned.delta` `[visual, hidden]` and `learned.losses` `[iterations]`, f32, and replaces the
    /// mask by the one that the delta was learned with.
    ///
    /// # Errors
    /// Those of the tensor library.
    pub fn insert_learned(&mut self, learned: &LearnedDelta) -> Result<()> {
        let losses: Vec<f32> = learned.losses.iter().map(|&loss| loss as f32).collect();
        self.insert("learned.losses", Tensor::new(losses, &Device::Cpu)?);
        // Learning selects rows by the residuals of the differentiable decoder, which may differ from the engine's in the last bits.
        if let Some(rows) = self.get("token_ids").map(|ids| ids.elem_count()) {
            self.insert("mask", mask(learned.selected.iter(), rows)?);
        }
        self.insert("learned.delta", learned.delta.to_device(&Device::Cpu)?.contiguous()?);
        Ok(())
    }
}

impl Replayer {
    /// Runs clean passes of both models over one prompt and records every intermediate result. Arms no edits.
    ///
    /// # Errors
    /// Those of the backend's steps.
    pub async fn trace(&self, backend: &mut dyn ReplayBackend) -> Result<Trace> {
        let prompt = backend.prompt();
        let rows = prompt.len();
        let tokens: Vec<u32> = prompt.rows().iter().map(|row| row.token).collect();
        let visual: Vec<u32> = prompt.visual_rows().iter().map(|&row| row as u32).collect();
        let candidates = prompt.candidates(self.settings().positions);

        let mut trace = Trace::default();
        trace.insert("token_ids", Tensor::new(tokens, &Device::Cpu)?);
        trace.insert("visual_rows", Tensor::new(visual, &Device::Cpu)?);
        let layers: Vec<usize> = (0..=self.last_residual()).collect();
        let all = RowSet::all(rows);
        let base = backend.capture(Role::Base, &layers, &all).await?;
        yield_now().await;
        let rlvr = backend.capture(Role::Rlvr, &layers, &all).await?;
        yield_now().await;
        for (name, activations) in [("base", &base), ("rlvr", &rlvr)] {
            let lens = backend.lens(activations.role());
            let lens = StreamedLens::new(&*lens, self.settings().lens_memory);
            for &layer in &layers {
                let residual = activations.select(layer, &all)?;
                let entropy = Tensor::new(lens.entropy(&residual).await?, &Device::Cpu)?;
                let residual = residual.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.contiguous()?;
                trace.insert(format!("residual.{name}.{layer}"), residual);
                trace.insert(format!("entropy.{name}.{layer}"), entropy);
            }
        }
        let selection = self.policy().rank(backend, &candidates, &base, Some(&rlvr)).await?;
        trace.insert("mask", selection.mask(rows)?);
        Ok(trace)
    }
}
