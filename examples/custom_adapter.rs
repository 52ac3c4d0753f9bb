//! Replay in an engine of your own, in one file: a small engine that is not mistral.rs, its adapter, and its conformance test.
//! [CUSTOM_ADAPTER.md](CUSTOM_ADAPTER.md) walks through it.
//!
//!     cargo seam run --example custom_adapter
use std::sync::Arc;

use anyhow::Context;
use async_trait::async_trait;
use replay_core::candle_core::{self, D, Device, Tensor};
use replay_core::config::{Config, Replay};
use replay_core::conformance::{self, Maker, Observed, Plan, Prefill, Subject};
use replay_core::lens::LogitLens;
use replay_core::registry::{self, Adapter, Architecture, inventory};
use replay_core::substitute::Edits;
use replay_core::{
    Activations, Exactness, Grid, Image, ImageContent, ModelInfo, PairInfo, PromptMap, ReplayBackend, Replayer, Result,
    Role, RowSet,
};

// ---- 1. The engine, as it was before anybody thought of replay --------------------------------------------------------------------------

const LAYERS: usize = 4;
const HIDDEN: usize = 16;
const VOCABULARY: usize = 64;
const IMAGE_TOKEN: u32 = 63;

/// One of the two models: decoder layers of causal attention and an MLP, and a head.
struct Model {
    embedding: Tensor,
    layers: Vec<[Tensor; 4]>,
    head: Tensor,
}

/// A prompt: text tokens, and one image whose pixels stand where its placeholders are.
#[derive(Clone)]
struct Prompt {
    tokens: Vec<u32>,
    pixels: Vec<u8>,
}

impl Model {
    /// Weights from a seed; `moved` is how far reinforcement learning has moved them.
    fn new(seed: u64, moved: f32) -> candle_core::Result<Self> {
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

// ---- 2. The one thing that replay needs of it: a tap in front of each layer and after the last ------------------------------------------

impl Model {
    /// The tap sees the residual stream and says how it goes on; nothing ends the pass.
    fn forward(
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

// ---- 3. The adapter: one prompt in this engine ------------------------------------------------------------------------------------------

struct ToyPrompt<'e> {
    engine: &'e Toy,
    prompt: &'e Prompt,
    map: PromptMap,
    /// What the real prefill is to go on with.
    armed: Option<Arc<Edits>>,
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

// ---- 4. The engine with replay in it ----------------------------------------------------------------------------------------------------

struct Toy {
    base: Arc<Model>,
    rlvr: Arc<Model>,
    pair: PairInfo,
}

impl Toy {
    /// A base, and what training has made of it.
    fn new(seed: u64, moved: f32) -> Result<Self> {
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
    fn prompt<'e>(&'e self, sequence: usize, prompt: &'e Prompt) -> Result<ToyPrompt<'e>> {
        let content = ImageContent::of(2, 2, "luma8", &prompt.pixels);
        let image = Image::whole(Grid { frames: 1, rows: 2, columns: 2 }, content);
        let map = PromptMap::new(sequence, &prompt.tokens, |token| token == IMAGE_TOKEN, vec![image])?;
        Ok(ToyPrompt { engine: self, prompt, map, armed: None })
    }

    /// The served model over prompt and answer so far, with the edits in it. They are about rows of the prompt.
    fn logits(&self, prompt: &Prompt, generated: &[u32], edits: Option<&Edits>) -> Result<Vec<f32>> {
        let logits = self.rlvr.forward(prompt, generated, |layer, residual| {
            let edited = edits.map(|edits| edits.apply(layer, &residual)).transpose()?.flatten();
            Ok(Some(edited.unwrap_or(residual)))
        })?;
        Ok(logits.map(|logits| logits.to_vec1()).transpose()?.unwrap_or_default())
    }

    /// Answers greedily; with settings, replayed.
    fn answer(&self, prompt: &Prompt, replay: Option<&Replay>) -> Result<(Vec<u32>, Option<String>)> {
        let mut backend = self.prompt(0, prompt)?;
        let mut summary = None;
        if let Some(replay) = replay {
            let replayed = pollster::block_on(Replayer::new(replay, LAYERS)?.replay(&mut backend, None))?;
            let report = replayed.report;
            let (status, selected, layers) = (report.status, report.selected(), report.layers.len());
            summary = Some(format!("{status:?}, {selected} rows over {layers} layers"));
        }
        let mut generated = Vec::new();
        while generated.len() < 8 {
            let logits = self.logits(prompt, &generated, backend.armed.as_deref())?;
            let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
            generated.push(best.map_or(0, |(token, _)| token as u32));
        }
        Ok((generated, summary))
    }
}

fn prompts() -> [Prompt; 2] {
    let tokens = |first: u32| [vec![first, 2], vec![IMAGE_TOKEN; 4], vec![3, first + 7]].concat();
    [
        Prompt { tokens: tokens(1), pixels: vec![9, 40, 80, 200] },
        Prompt { tokens: tokens(5), pixels: vec![250, 3, 7, 90] },
    ]
}

// ---- 5. It registers itself: the name that `adapter = "toy"` selects, and its own table -------------------------------------------------

inventory::submit! {
    Adapter {
        name: "toy",
        engine: "a toy",
        architectures: || vec![Architecture { name: "Toy", strategies: &["substitute"] }],
        check_table: |config| seed(config).map(|_| ()),
    }
}

/// `[toy]` has one key.
fn seed(config: &Config) -> Result<u64, replay_core::config::ConfigError> {
    config.read_adapter_table(|table| table.integer("seed", 1..=1_000_000).or(7).unsigned_abs())
}

// ---- 6. It passes the conformance kit ---------------------------------------------------------------------------------------------------

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

struct Toys;

#[async_trait(?Send)]
impl Maker for Toys {
    async fn make(&mut self, twins: bool) -> Result<Box<dyn Subject>> {
        Ok(Box::new(UnderTest(Toy::new(7, if twins { 0.0 } else { 0.3 })?, prompts())))
    }
}

const CONFIG: &str = r#"
adapter = "toy"
[pair]
base = "toy"
rlvr = "toy-rl"
[replay]
strategy = "substitute"
layers = 3
[replay.rank]
quantile = 0.5
[toy]
seed = 11
"#;

fn main() -> anyhow::Result<()> {
    // `Config::from_file("replay.toml")` in a program; the adapter is the one that the file names.
    let config = Config::from_str(CONFIG, "toy.toml")?;
    let adapter = registry::adapter(&config.adapter)?;
    (adapter.check_table)(&config)?;
    println!(
        "adapter {} of {}",
        adapter.name,
        registry::adapters()?.iter().map(|a| a.name).collect::<Vec<_>>().join(", ")
    );

    let engine = Toy::new(seed(&config)?, 0.3)?;
    let [prompt, _] = prompts();
    let (off, _) = engine.answer(&prompt, None)?;
    let (on, summary) = engine.answer(&prompt, Some(&config.replay))?;
    println!("replay off: {off:?}\nreplay on:  {on:?} ({})", summary.context("a report")?);

    let outcome = pollster::block_on(conformance::run(&mut Toys))?;
    print!("{outcome}");
    anyhow::ensure!(outcome.passed(), "the adapter does not conform");
    Ok(())
}
