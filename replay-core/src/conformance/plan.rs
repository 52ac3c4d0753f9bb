//! The steps that a subject runs with the backend of one prompt. They are data and not a closure, since engines run prompts on threads of
//! their own.
use std::ops::Range;

use super::gradients::{Gradients, gradients};
use crate::rank::{LayerSelection, Selection};
use crate::substitute::Edits;
use crate::{Activations, Exactness, PromptMap, ReplayBackend, Replayer, Report, Result, Role, RowSet};

/// One step of a plan.
#[derive(Debug, Clone)]
pub enum Step {
    /// Capture these residuals of every row.
    Capture(Role, Vec<usize>),
    /// Capture these residuals of some rows.
    CaptureRows {
        /// Which model.
        role: Role,
        /// Which residuals.
        layers: Vec<usize>,
        /// Which rows.
        rows: RowSet,
    },
    /// Replace these rows of `residual[layer]` by those of a clean pass of this model.
    Edit {
        /// Which model the rows are taken from.
        role: Role,
        /// Which residual.
        layer: usize,
        /// Which rows.
        rows: RowSet,
    },
    /// Replay as configured.
    Replay(Replayer),
    /// Compare the gradients of these decoder layers with finite differences.
    Differentiate(Role, Range<usize>),
}

/// Steps in the order in which they run. A plan without steps does nothing to the prompt.
#[derive(Debug, Clone, Default)]
pub struct Plan(pub Vec<Step>);

/// What the steps of a plan observed.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// The prompt's labels; `None` if there was no step.
    pub prompt: Option<PromptMap>,
    /// The exactness that the engine states; `None` if there was no step.
    pub exactness: Option<Exactness>,
    /// One per capture, in order.
    pub captures: Vec<Activations>,
    /// The report of the last replay.
    pub report: Option<Report>,
    /// One entry per [`Step::Differentiate`], in order; `None` if the backend has no gradients.
    pub gradients: Vec<Option<Gradients>>,
}

impl Plan {
    /// Runs the steps. A subject calls this before the real prefill of the prompt.
    ///
    /// # Errors
    /// Those of the backend.
    pub async fn run(&self, backend: &mut dyn ReplayBackend) -> Result<Observed> {
        let (prompt, exactness) = (Some(backend.prompt().clone()), Some(backend.exactness()));
        let mut observed = Observed { prompt, exactness, ..Observed::default() };
        let all = RowSet::all(backend.prompt().len());
        for step in &self.0 {
            match step {
                Step::Capture(role, layers) => observed.captures.push(backend.capture(*role, layers, &all).await?),
                Step::CaptureRows { role, layers, rows } => {
                    observed.captures.push(backend.capture(*role, layers, rows).await?);
                }
                Step::Edit { role, layer, rows } => {
                    let activations = backend.capture(*role, &[*layer], rows).await?;
                    // Aligned: policy layer k edits residual k+1.
                    let selected = LayerSelection {
                        layer: layer - 1,
                        rows: rows.clone(),
                        ranked: rows.len(),
                        not_finite: 0,
                        entropy: None,
                    };
                    let selection = Selection { layers: vec![selected] };
                    let edits = Edits::new(&selection, &activations, crate::config::Alignment::Aligned, 1.0)?;
                    backend.substitute(std::sync::Arc::new(edits)).await?;
                    observed.captures.push(activations);
                }
                Step::Differentiate(role, layers) => {
                    observed.gradients.push(gradients(backend, *role, layers.clone()).await?);
                }
                Step::Replay(replayer) => observed.report = Some(replayer.replay(backend, None).await?.report),
            }
        }
        Ok(observed)
    }
}
