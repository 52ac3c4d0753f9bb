//! One prompt in the mock engine, as the core sees it.
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use candle_core::Tensor;

use super::Fault;
use super::gradients::Layers;
use super::model::{LAYERS, PLACEHOLDER, tensor};
use super::pair::MockPair;
use crate::config::Positions;
use crate::learned::Differentiable;
use crate::lens::LogitLens;
use crate::substitute::Edits;
use crate::{
    Activations, Exactness, Grid, Image, ImageContent, PairInfo, PromptMap, ReplayBackend, Result, Role, RowSet, Span,
};

/// One prompt in the mock engine.
pub(super) struct Backend<'a> {
    mock: &'a MockPair,
    prompt: usize,
    map: PromptMap,
    pub(super) edits: Option<Arc<Edits>>,
    pub(super) passes: usize,
    stopped: bool,
}

impl<'a> Backend<'a> {
    pub(super) fn new(mock: &'a MockPair, prompt: usize) -> Result<Self> {
        let image = |rows, columns| {
            let content = ImageContent::of(columns as u32, rows as u32, "mock", &[prompt as u8]);
            Image::with_grid(Grid { frames: 1, rows, columns }, content)
        };
        let sequence = if mock.has(Fault::SequencesShareANumber) { 0 } else { prompt };
        let images = vec![image(2, 2), image(1, 2)];
        let map = PromptMap::new(sequence, &mock.prompts[prompt], |token| token == PLACEHOLDER, images)?;
        Ok(Self { mock, prompt, map, edits: None, passes: 0, stopped: false })
    }
}

#[async_trait(?Send)]
impl ReplayBackend for Backend<'_> {
    fn pair(&self) -> &PairInfo {
        &self.mock.info
    }

    fn prompt(&self) -> &PromptMap {
        &self.map
    }

    fn exactness(&self) -> Exactness {
        self.mock.noise.exactness
    }

    async fn capture(&mut self, role: Role, layers: &[usize], rows: &RowSet) -> Result<Activations> {
        let model = self.mock.model(role);
        let tokens = &self.mock.prompts[self.prompt];
        let mut stream = model.embed(tokens, self.prompt as u32);
        if self.stopped && self.mock.has(Fault::EarlyExitPerturbs) {
            stream[0][0] += 0.01;
        }
        let last = layers.last().copied().unwrap_or(0);
        let mut activations = Activations::new(role, rows.clone());
        for layer in 0..=last {
            if layers.contains(&layer) {
                let mut residual = tensor(&stream)?;
                if role == Role::Base && self.mock.has(Fault::BaseRounded) {
                    residual = ((residual * 1e4)?.round()? / 1e4)?;
                }
                if self.mock.has(Fault::CapturesShifted) && rows.len() < tokens.len() {
                    residual = Tensor::cat(&[residual.narrow(0, 1, tokens.len() - 1)?, residual.narrow(0, 0, 1)?], 0)?;
                }
                activations.insert_from(layer, &(residual + f64::from(self.mock.noise.next()))?)?;
            }
            stream = model.layer(layer, &stream);
        }
        self.passes += 1;
        self.stopped = last < LAYERS;
        Ok(activations)
    }

    async fn differentiable(&mut self, role: Role, layers: Range<usize>) -> Result<Option<Box<dyn Differentiable>>> {
        let model = self.mock.model(role);
        let mut stream = model.embed(&self.mock.prompts[self.prompt], self.prompt as u32);
        for layer in 0..layers.start + usize::from(self.mock.has(Fault::GradientsOneLayerLate)) {
            stream = model.layer(layer, &stream);
        }
        let span = Span::around(&self.map.candidates(Positions::Visual));
        let own_rows_only = self.mock.has(Fault::GradientsOfRowsAlone);
        let layers = Layers::new(model.clone(), &stream, span, layers, own_rows_only)?;
        Ok(Some(Box::new(layers)))
    }

    fn lens(&self, role: Role) -> Arc<dyn LogitLens> {
        Arc::new(self.mock.model(role).clone())
    }

    async fn substitute(&mut self, edits: Arc<Edits>) -> Result<()> {
        self.edits = Some(edits);
        Ok(())
    }
}
