//! Step 5: it passes the conformance kit.
use std::sync::Arc;

use async_trait::async_trait;
use replay_core::Result;
use replay_core::conformance::{Maker, Observed, Plan, Prefill, Subject};
use replay_core::substitute::Edits;

use crate::engine::{IMAGE_TOKEN, LAYERS, Prompt};
use crate::pair::Toy;

fn prompts() -> [Prompt; 2] {
    let tokens = |first: u32| [vec![first, 2], vec![IMAGE_TOKEN; 4], vec![3, first + 7]].concat();
    [
        Prompt { tokens: tokens(1), pixels: vec![9, 40, 80, 200] },
        Prompt { tokens: tokens(5), pixels: vec![250, 3, 7, 90] },
    ]
}

struct UnderTest(Toy, [Prompt; 2]);

#[async_trait(?Send)]
impl Subject for UnderTest {
    async fn prefill(&mut self, batch: Vec<(usize, Plan)>) -> Result<Vec<Prefill>> {
        let mut decided: Vec<(usize, Option<Arc<Edits>>, Observed)> = Vec::new();
        for (sequence, plan) in batch {
            let mut backend = self.0.prompt(sequence, &self.1[sequence])?;
            let observed = if plan.0.is_empty() { Observed::default() } else { plan.run(&mut backend).await? };
            decided.push((sequence, backend.armed.take(), observed));
        }
        let prefill = |(sequence, edits, observed): (usize, Option<Arc<Edits>>, Observed)| {
            let logits = self.0.logits(&self.1[sequence], &[], edits.as_deref())?;
            let sum: f32 = logits.iter().map(|logit| logit.exp()).sum();
            Ok(Prefill { log_probs: logits.iter().map(|logit| logit - sum.ln()).collect(), observed })
        };
        decided.into_iter().map(prefill).collect()
    }

    fn decoder_layers(&self) -> usize {
        LAYERS
    }
}

pub(crate) struct Toys;

#[async_trait(?Send)]
impl Maker for Toys {
    async fn make(&mut self, twins: bool) -> Result<Box<dyn Subject>> {
        Ok(Box::new(UnderTest(Toy::new(7, if twins { 0.0 } else { 0.3 })?, prompts())))
    }
}
