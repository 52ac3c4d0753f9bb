//! What an engine implements.
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;

use crate::learned::{Differentiable, Progress};
use crate::lens::LogitLens;
use crate::rank::{self, Lensed, RankRequest, Selection};
use crate::substitute::Edits;
use crate::{Activations, PairInfo, PromptMap, Result, Role};

/// One prompt in one engine, before its real prefill.
///
/// The three steps of replay, each testable alone: capture, rank, substitute. The futures need not be `Send`: engines run prompts on
/// a thread of their own, and a backend may borrow from it.
#[async_trait(?Send)]
pub trait ReplayBackend {
    /// The two models.
    fn pair(&self) -> &PairInfo;

    /// The labelled rows of this prompt.
    fn prompt(&self) -> &PromptMap;

    /// Step 1: a clean pass of the prompt through one model, that stops after the last layer asked for and leaves no trace.
    ///
    /// # Shapes
    /// `residual[j]` for each `j` of `layers` (ascending): `[rows, hidden]`, in the engine's own precision.
    ///
    /// # Errors
    /// If the model has no such layer, or the pass fails.
    async fn capture(&mut self, role: Role, layers: &[usize]) -> Result<Activations>;

    /// A pass of the prompt through the RLVR model with these edits in it, as its real prefill would go; leaves no trace. `None` if this
    /// adapter cannot.
    ///
    /// # Shapes
    /// As for [`capture`](Self::capture), after the edits.
    ///
    /// # Errors
    /// If the model has no such layer, or the pass fails.
    async fn capture_edited(&mut self, layers: &[usize], edits: Arc<Edits>) -> Result<Option<Activations>> {
        let _ = (layers, edits);
        Ok(None)
    }

    /// Final norm and head of one model. Shared, so that ranking can borrow the backend.
    fn lens(&self, role: Role) -> Arc<dyn LogitLens>;

    /// Step 2, as [`rank::rank`] does it; an engine with kernels of its own may do it faster, with the same result.
    ///
    /// # Errors
    /// If a residual was not captured, or the lens fails.
    async fn rank(
        &mut self,
        request: &RankRequest<'_>,
        base: Lensed<'_>,
        rlvr: Option<Lensed<'_>>,
    ) -> Result<Selection> {
        rank::rank(request, base, rlvr)
    }

    /// The layers `layers.start..layers.end` of one model over this prompt, with gradients: what strategy `learned` needs. `None` if
    /// this adapter cannot differentiate the model.
    ///
    /// # Errors
    /// If the residuals that it starts from cannot be captured, or the model has no such layer.
    async fn differentiable(&mut self, role: Role, layers: Range<usize>) -> Result<Option<Box<dyn Differentiable>>> {
        let _ = (role, layers);
        Ok(None)
    }

    /// Hears of each pass of learning; `false` ends it, as when the client went away.
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
