//! Step 2: one prompt in this engine, as replay sees it, and the pair of models behind it.
use std::sync::Arc;

use async_trait::async_trait;
use replay_core::lens::LogitLens;
use replay_core::substitute::Edits;
use replay_core::{
    Activations, Exactness, Grid, Image, ImageContent, ModelInfo, PairInfo, PromptMap, ReplayBackend, Result, Role,
    RowSet,
};

use crate::engine::{HIDDEN, IMAGE_TOKEN, LAYERS, Model, Prompt, VOCABULARY};

pub(crate) struct ToyPrompt<'e> {
    engine: &'e Toy,
    prompt: &'e Prompt,
    map: PromptMap,
    /// What the real prefill is to go on with.
    pub(crate) armed: Option<Arc<Edits>>,
}

#[async_trait(?Send)]
impl ReplayBackend for ToyPrompt<'_> {
    fn pair(&self) -> &PairInfo {
        &self.engine.pair
    }

    fn prompt(&self) -> &PromptMap {
        &self.map
    }

    /// The same prompt gives the same bits; an engine whose kernels sum in another order each time states a tolerance.
    fn exactness(&self) -> Exactness {
        Exactness::Bits
    }

    async fn capture(&mut self, role: Role, layers: &[usize], rows: &RowSet) -> Result<Activations> {
        let (last, mut activations) = (layers.last().copied(), Activations::new(role, rows.clone()));
        self.engine.model(role).forward(self.prompt, &[], |layer, residual| {
            if layers.contains(&layer) {
                // Keeps the rows asked for out of the residual of the whole prompt.
                activations.insert_from(layer, &residual)?;
            }
            // Nothing after the last layer asked for has to run.
            Ok((Some(layer) < last).then_some(residual))
        })?;
        Ok(activations)
    }

    fn lens(&self, role: Role) -> Arc<dyn LogitLens> {
        self.engine.model(role).clone()
    }

    async fn substitute(&mut self, edits: Arc<Edits>) -> Result<()> {
        self.armed = Some(edits);
        Ok(())
    }
}

pub(crate) struct Toy {
    base: Arc<Model>,
    rlvr: Arc<Model>,
    pub(crate) pair: PairInfo,
}

impl Toy {
    /// A base, and what training has made of it.
    pub(crate) fn new(seed: u64, moved: f32) -> Result<Self> {
        let info = |id: &str, moved: f32| ModelInfo {
            id: id.into(),
            architecture: "Toy".into(),
            decoder_layers: LAYERS,
            loaded_layers: LAYERS,
            hidden: HIDDEN,
            vocabulary: VOCABULARY,
            dtype: "F32".into(),
            // What the cache tells models apart by: whatever their weights depend on.
            fingerprint: format!("toy {seed} {moved}"),
        };
        let pair = PairInfo { base: info("toy", 0.0), rlvr: info("toy-rl", moved) };
        Ok(Self { base: Arc::new(Model::new(seed, 0.0)?), rlvr: Arc::new(Model::new(seed, moved)?), pair })
    }

    fn model(&self, role: Role) -> &Arc<Model> {
        if role == Role::Base { &self.base } else { &self.rlvr }
    }

    /// The prompt with its rows labelled: which of them stand for which place of which image.
    pub(crate) fn prompt<'e>(&'e self, sequence: usize, prompt: &'e Prompt) -> Result<ToyPrompt<'e>> {
        let image = |pixels: &[u8]| {
            let content = ImageContent::of(2, 2, "luma8", pixels);
            Image::with_grid(Grid { frames: 1, rows: 2, columns: 2 }, content)
        };
        let images = prompt.pixels.chunks(4).map(image).collect();
        let map = PromptMap::new(sequence, &prompt.tokens, |token| token == IMAGE_TOKEN, images)?;
        Ok(ToyPrompt { engine: self, prompt, map, armed: None })
    }

    /// The served model over prompt and answer so far, with the edits in it. They are about rows of the prompt.
    pub(crate) fn logits(&self, prompt: &Prompt, generated: &[u32], edits: Option<&Edits>) -> Result<Vec<f32>> {
        let logits = self.rlvr.forward(prompt, generated, |layer, residual| {
            let edited = edits.map(|edits| edits.apply(layer, &residual)).transpose()?.flatten();
            Ok(Some(edited.unwrap_or(residual)))
        })?;
        Ok(logits.map(|logits| logits.to_vec1()).transpose()?.unwrap_or_default())
    }
}
