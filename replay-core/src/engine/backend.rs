//! The trait that an engine implements.
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;

use crate::learned::{Differentiable, Progress};
use crate::lens::{self, LensRows, LogitLens};
use crate::substitute::Edits;
use crate::{Activations, Exactness, PairInfo, PromptMap, Result, Role, RowSet};

/// One prompt in one engine, before its real prefill.
///
/// It has the three steps of replay, each testable alone: capture, entropies (for the ranking), substitute. The futures need not be `Send`:
/// engines run prompts on a thread of their own, and a backend may borrow from it.
#[async_trait(?Send)]
pub trait ReplayBackend {
    /// The two models.
    fn pair(&self) -> &PairInfo;

    /// The labelled rows of this prompt.
    fn prompt(&self) -> &PromptMap;

    /// How closely two passes of this engine over the same prompt agree.
    fn exactness(&self) -> Exactness;

    /// Step 1: runs a clean pass of the prompt through one model, which stops after the last layer asked for and leaves no trace.
    ///
    /// # Shapes
    /// `residual[j]` for each `j` of `layers` (ascending), of the rows `rows` of the prompt: `[rows, hidden]`, in the engine's own
    /// precision.
    ///
    /// # Errors
    /// If the model has no such layer, the prompt no such row, or the pass fails.
    async fn capture(&mut self, role: Role, layers: &[usize], rows: &RowSet) -> Result<Activations>;

    /// Runs a pass of the prompt through the RLVR model with these edits, as its real prefill would run, and leaves no trace. `None` if
    /// this adapter has no such pass.
    ///
    /// # Shapes
    /// As for [`capture`](Self::capture), after the edits.
    ///
    /// # Errors
    /// As for [`capture`](Self::capture).
    async fn capture_edited(
        &mut self,
        layers: &[usize],
        rows: &RowSet,
        edits: Arc<Edits>,
    ) -> Result<Option<Activations>> {
        let _ = (layers, rows, edits);
        Ok(None)
    }

    /// The final norm and head of one model. It is an `Arc`, so that it can be used while the backend is borrowed.
    fn lens(&self, role: Role) -> Arc<dyn LogitLens>;

    /// Step 2: computes logit-lens entropies of the model that `activations` were captured from, which
    /// [`rank::select`](crate::rank::select) ranks. An engine can override it with faster kernels. `memory` bounds the bytes of logits
    /// held at a time.
    ///
    /// # Shapes
    /// One list for each entry of `wanted`, with the entropy in nats of each of its rows, over the full vocabulary; NaN where a row is
    /// not finite.
    ///
    /// # Errors
    /// If a residual or row was not captured, or the lens fails.
    async fn entropies(
        &mut self,
        activations: &Activations,
        wanted: &[LensRows],
        memory: u64,
    ) -> Result<Vec<Vec<f32>>> {
        let lens = self.lens(activations.role());
        lens::entropies(&*lens, memory, activations, wanted).await
    }

    /// The decoder layers `layers` of one model over this prompt, with gradients, for strategy `learned`. `None` if this adapter cannot
    /// differentiate the model.
    ///
    /// # Errors
    /// If the residual that enters the first layer cannot be captured, or the model has no such layer.
    async fn differentiable(&mut self, role: Role, layers: Range<usize>) -> Result<Option<Box<dyn Differentiable>>> {
        let _ = (role, layers);
        Ok(None)
    }

    /// Called after each pass of learning; `false` ends the learning, for example if the client went away.
    fn progress(&mut self, progress: Progress) -> bool {
        let _ = progress;
        true
    }

    /// Step 3: arms the edits for the real prefill of this prompt (each of its prefills, if the engine repeats it).
    ///
    /// # Errors
    /// If the engine cannot edit these residuals.
    async fn substitute(&mut self, edits: Arc<Edits>) -> Result<()>;
}
