//! Step 1: the engine as it was, and the one thing that replay needs of it: a tap in front of each layer and after the last.
use replay_core::Result;
use replay_core::candle_core::{self, D, Device, Tensor};
use replay_core::lens::LogitLens;

pub(crate) const LAYERS: usize = 4;
pub(crate) const HIDDEN: usize = 16;
pub(crate) const VOCABULARY: usize = 64;
pub(crate) const IMAGE_TOKEN: u32 = 63;

/// One of the two models: decoder layers of causal attention and an MLP, and a head.
pub(crate) struct Model {
    embedding: Tensor,
    layers: Vec<[Tensor; 4]>,
    head: Tensor,
}

/// A prompt: text tokens, and images of four pixels that stand where their placeholders are.
#[derive(Clone)]
pub(crate) struct Prompt {
    pub(crate) tokens: Vec<u32>,
    pub(crate) pixels: Vec<u8>,
}

impl Model {
    /// Weights from a seed; `moved` is how far reinforcement learning has moved them.
    pub(crate) fn new(seed: u64, moved: f32) -> candle_core::Result<Self> {
        let mut state = seed;
        let mut number = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        let mut weight = |rows: usize, columns: usize| {
            let values: Vec<f32> = (0..rows * columns).map(|_| number() + moved * number()).collect();
            Tensor::from_vec(values, (rows, columns), &Device::Cpu)
        };
        let embedding = weight(VOCABULARY, HIDDEN)?;
        let mut layers = Vec::new();
        for _ in 0..LAYERS {
            let mut square = || weight(HIDDEN, HIDDEN);
            layers.push([square()?, square()?, square()?, square()?]);
        }
        Ok(Self { embedding, layers, head: weight(HIDDEN, VOCABULARY)? })
    }

    fn embed(&self, prompt: &Prompt, generated: &[u32]) -> candle_core::Result<Tensor> {
        let tokens = [&prompt.tokens[..], generated].concat();
        let mut pixels = prompt.pixels.iter();
        let shift: Vec<f32> = tokens
            .iter()
            .map(|token| if *token == IMAGE_TOKEN { pixels.next().map_or(0.0, |p| f32::from(*p) / 64.0) } else { 0.0 })
            .collect();
        let shift = Tensor::from_vec(shift, (tokens.len(), 1), &Device::Cpu)?;
        self.embedding.index_select(&Tensor::new(tokens, &Device::Cpu)?, 0)?.broadcast_add(&shift)
    }

    fn layer(&self, [query, key, value, mlp]: &[Tensor; 4], stream: &Tensor) -> candle_core::Result<Tensor> {
        let rows = stream.dim(0)?;
        let scores = (stream.matmul(query)?.matmul(&stream.matmul(key)?.t()?)? / (HIDDEN as f64).sqrt())?;
        let later = |i: usize| (0..rows).map(move |j| if j > i { f32::NEG_INFINITY } else { 0.0 });
        let mask = Tensor::from_vec((0..rows).flat_map(later).collect::<Vec<_>>(), (rows, rows), &Device::Cpu)?;
        let scores = (scores + mask)?;
        let weights = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?.exp()?;
        let weights = weights.broadcast_div(&weights.sum_keepdim(D::Minus1)?)?;
        let stream = (stream + weights.matmul(&stream.matmul(value)?)?)?;
        &stream + stream.matmul(mlp)?.tanh()?
    }
}

impl Model {
    /// The tap sees the residual stream and says how it goes on; nothing ends the pass.
    pub(crate) fn forward(
        &self,
        prompt: &Prompt,
        generated: &[u32],
        mut tap: impl FnMut(usize, Tensor) -> Result<Option<Tensor>>,
    ) -> Result<Option<Tensor>> {
        let mut stream = self.embed(prompt, generated)?;
        for (index, layer) in self.layers.iter().enumerate() {
            let Some(tapped) = tap(index, stream)? else { return Ok(None) };
            stream = self.layer(layer, &tapped)?;
        }
        let Some(last) = tap(LAYERS, stream)? else { return Ok(None) };
        Ok(Some(last.matmul(&self.head)?.narrow(0, last.dim(0)? - 1, 1)?.squeeze(0)?))
    }
}

/// The logit lens is the model's own final norm and head; this one has no norm.
impl LogitLens for Model {
    fn vocabulary(&self) -> usize {
        VOCABULARY
    }

    fn logits(&self, residual: &Tensor) -> candle_core::Result<Tensor> {
        residual.matmul(&self.head)
    }
}
