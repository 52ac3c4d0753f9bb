//! The targets of learning, computed once per prompt: at the selected rows, the base's probabilities of its likeliest vocabulary entries, or
//! its hidden states.
use std::collections::BTreeMap;

use candle_core::Tensor;

use super::Differentiable;
use super::distance::BaseStates;
use super::divergence::log_softmax;
use super::gathered;
use crate::error::Result;
use crate::lens::StreamedLens;
use crate::rows::SpanRows;

/// The target of one policy layer.
#[derive(Debug, Clone)]
pub struct Target {
    /// The policy layer.
    pub layer: usize,
    /// The RLVR residual that is compared.
    pub residual: usize,
    /// The selected rows.
    pub rows: SpanRows,
    /// What is compared there.
    pub content: Content,
}

/// What is compared at the selected rows of one policy layer.
#[derive(Debug, Clone)]
pub enum Content {
    /// The base's probabilities of its likeliest entries.
    Lens {
        /// Indices into [`Targets::tokens`] of each row's likeliest entries, `[rows, top]`, u32.
        entries: Tensor,
        /// The base's log-probabilities, in nats, renormalised over those entries: `rows` lists of `top`.
        log_probabilities: Vec<Vec<f64>>,
    },
    /// The base's hidden states.
    Residual(BaseStates),
}

/// The targets of all policy layers that select rows.
#[derive(Debug, Clone, Default)]
pub struct Targets {
    /// One target per policy layer, in layer order.
    pub layers: Vec<Target>,
    /// The vocabulary entries of all targets, ascending; empty for hidden states.
    pub tokens: Vec<u32>,
}

/// The base's residual of one policy layer, and the RLVR residual that is compared with it.
pub(crate) struct BaseRows {
    /// The policy layer.
    pub(crate) layer: usize,
    /// The selected rows.
    pub(crate) rows: SpanRows,
    /// The RLVR residual that is compared.
    pub(crate) residual: usize,
    /// The base's residual at the selected rows, `[selected, hidden]`.
    pub(crate) values: Tensor,
}

impl Targets {
    /// The base's hidden states as targets.
    ///
    /// # Errors
    /// Those of the tensor library.
    pub(crate) fn states(base_rows: &[BaseRows]) -> Result<Self> {
        let target = |layer: &BaseRows| {
            let content = Content::Residual(BaseStates::new(&layer.values)?);
            Ok(Target { layer: layer.layer, residual: layer.residual, rows: layer.rows.clone(), content })
        };
        Ok(Self { layers: base_rows.iter().map(target).collect::<Result<_>>()?, tokens: Vec::new() })
    }

    /// Finds the base's `top` likeliest entries of each selected row, by its own lens, and their probabilities. Yields between blocks of
    /// the lens.
    ///
    /// # Errors
    /// Those of lens and head.
    pub(crate) async fn lens(
        base: &dyn Differentiable,
        lens: StreamedLens<'_>,
        base_rows: &[BaseRows],
        top: usize,
    ) -> Result<Self> {
        let mut likeliest = Vec::with_capacity(base_rows.len());
        for layer in base_rows {
            likeliest.push(lens.likeliest(&layer.values, top).await?);
        }
        let mut tokens: Vec<u32> = likeliest.iter().flatten().flatten().copied().collect();
        tokens.sort_unstable();
        tokens.dedup();
        let entry: BTreeMap<u32, u32> = tokens.iter().zip(0..).map(|(&token, entry)| (token, entry)).collect();
        let head = base.head_rows(&tokens)?;
        let mut layers = Vec::new();
        for (layer, likeliest) in base_rows.iter().zip(&likeliest) {
            let shape = (likeliest.len(), likeliest.first().map_or(0, Vec::len));
            let entries: Vec<u32> = likeliest.iter().flatten().map(|token| entry[token]).collect();
            let entries = Tensor::from_vec(entries, shape, head.device())?;
            // Computed with the same operations as for the RLVR model, so that equal models have a divergence of exactly zero.
            let logits = gathered::forward(&base.norm(&layer.values)?.to_device(head.device())?, &head, &entries)?;
            let logits = logits.to_vec2::<f32>()?;
            layers.push(Target {
                layer: layer.layer,
                residual: layer.residual,
                rows: layer.rows.clone(),
                content: Content::Lens {
                    entries,
                    log_probabilities: logits.iter().map(|logits| log_softmax(logits).collect()).collect(),
                },
            });
        }
        Ok(Self { layers, tokens })
    }

    /// The last RLVR residual that is compared.
    pub fn last_residual(&self) -> Option<usize> {
        self.layers.iter().map(|target| target.residual).max()
    }
}
