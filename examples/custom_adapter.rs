//! Replay in an engine of your own: implement one trait for one prompt, register a name, run the conformance kit.
//!
//!     cargo seam run --example custom_adapter
//!
//! The engine here is a toy of three layers without attention; `replay_core::conformance::mock` is a complete one.
use std::sync::Arc;

use async_trait::async_trait;
use replay_core::candle_core::{self, Device, Tensor};
use replay_core::config::{Config, Layers, Rule};
use replay_core::lens::LogitLens;
use replay_core::registry::{self, Adapter, Architecture, inventory};
use replay_core::substitute::Edits;
use replay_core::{
    Activations, Grid, Image, ImageContent, ModelInfo, PairInfo, PromptMap, ReplayBackend, Replayer, Result, Role,
    conformance,
};

const LAYERS: usize = 3;
const HIDDEN: usize = 16;
const VOCABULARY: usize = 64;
const IMAGE_TOKEN: u32 = 63;

// The name that `adapter = "toy"` selects.
inventory::submit! {
    Adapter {
        name: "toy",
        engine: "a toy",
        architectures: || vec![Architecture { name: "Toy", strategies: &["substitute"] }],
        check_table: |config| config.read_adapter_table(|_| ()),
    }
}

/// One of the two models: an embedding, `LAYERS` matrices and a head.
struct Model {
    embedding: Tensor,
    layers: Vec<Tensor>,
    head: Tensor,
}

impl Model {
    fn random(like: Option<&Model>) -> Result<Self> {
        let random = |rows, columns| Tensor::randn(0f32, 0.3, (rows, columns), &Device::Cpu);
        // The RLVR model is the base, a little moved.
        let moved = |tensor: &Tensor| tensor + (tensor.randn_like(0.0, 1.0)? * 0.05)?;
        Ok(match like {
            None => Self {
                embedding: random(VOCABULARY, HIDDEN)?,
                layers: (0..LAYERS).map(|_| random(HIDDEN, HIDDEN)).collect::<candle_core::Result<_>>()?,
                head: random(HIDDEN, VOCABULARY)?,
            },
            Some(base) => Self {
                embedding: moved(&base.embedding)?,
                layers: base.layers.iter().map(moved).collect::<candle_core::Result<_>>()?,
                head: moved(&base.head)?,
            },
        })
    }

    /// Runs the layers; `tap` sees, and may replace, the residual stream in front of each and after the last.
    fn forward(&self, tokens: &[u32], mut tap: impl FnMut(usize, Tensor) -> Result<Option<Tensor>>) -> Result<()> {
        let mut stream = self.embedding.index_select(&Tensor::new(tokens, &Device::Cpu)?, 0)?;
        for layer in 0..=LAYERS {
            let Some(tapped) = tap(layer, stream)? else { return Ok(()) };
            stream = match self.layers.get(layer) {
                Some(weight) => (&tapped + tapped.matmul(weight)?.tanh()?)?,
                None => tapped,
            };
        }
        Ok(())
    }
}

impl LogitLens for Model {
    fn vocabulary(&self) -> usize {
        VOCABULARY
    }

    fn logits(&self, residual: &Tensor) -> candle_core::Result<Tensor> {
        residual.matmul(&self.head)
    }
}

/// One prompt in the toy engine.
struct ToyPrompt {
    base: Arc<Model>,
    rlvr: Arc<Model>,
    pair: PairInfo,
    tokens: Vec<u32>,
    map: PromptMap,
    edits: Option<Arc<Edits>>,
}

#[async_trait(?Send)]
impl ReplayBackend for ToyPrompt {
    fn pair(&self) -> &PairInfo {
        &self.pair
    }

    fn prompt(&self) -> &PromptMap {
        &self.map
    }

    async fn capture(&mut self, role: Role, layers: &[usize]) -> Result<Activations> {
        let model = if role == Role::Base { &self.base } else { &self.rlvr };
        let (last, mut activations) = (layers.last().copied(), Activations::new(role, self.tokens.len()));
        model.forward(&self.tokens, |layer, residual| {
            if layers.contains(&layer) {
                activations.insert(layer, residual.clone())?;
            }
            // Nothing after the last layer asked for has to run.
            Ok((Some(layer) < last).then_some(residual))
        })?;
        Ok(activations)
    }

    fn lens(&self, role: Role) -> Arc<dyn LogitLens> {
        if role == Role::Base { self.base.clone() } else { self.rlvr.clone() }
    }

    async fn substitute(&mut self, edits: Arc<Edits>) -> Result<()> {
        self.edits = Some(edits);
        Ok(())
    }
}

fn main() -> anyhow::Result<()> {
    let names: Vec<_> = registry::adapters()?.iter().map(|adapter| adapter.name).collect();
    println!("adapters of this program: {}", names.join(", "));

    let toml = "adapter = \"toy\"\n[pair]\nbase = \"toy\"\nrlvr = \"toy-rl\"\n[replay]\nstrategy = \"substitute\"\n\
                layers = 2\n[replay.rank]\nquantile = 0.5";
    let config = Config::from_str(toml, "toy.toml")?;
    assert_eq!((&config.replay.layers, &config.replay.rank.rule), (&Layers::First(2), &Rule::Quantile(0.5)));

    let tokens = vec![1, 2, IMAGE_TOKEN, IMAGE_TOKEN, IMAGE_TOKEN, IMAGE_TOKEN, 3, 4];
    let content = ImageContent::of(2, 2, "luma8", &[1, 2, 3, 4]);
    let image = Image::whole(Grid { frames: 1, rows: 2, columns: 2 }, content);
    let info = |id: &str| ModelInfo {
        id: id.into(),
        architecture: "Toy".into(),
        decoder_layers: LAYERS,
        loaded_layers: LAYERS,
        hidden: HIDDEN,
        vocabulary: VOCABULARY,
        dtype: "F32".into(),
        fingerprint: format!("{id}, random"),
    };
    let base = Arc::new(Model::random(None)?);
    let mut prompt = ToyPrompt {
        rlvr: Arc::new(Model::random(Some(&base))?),
        base,
        pair: PairInfo { base: info("toy"), rlvr: info("toy-rl") },
        map: PromptMap::new(0, &tokens, |token| token == IMAGE_TOKEN, vec![image])?,
        tokens,
        edits: None,
    };

    // Before the real prefill: capture, rank, arm.
    let report = pollster::block_on(Replayer::new(&config.replay, LAYERS)?.replay(&mut prompt, None))?.report;
    println!("{:?}: {} rows selected over {} layers", report.status, report.selected(), report.layers.len());

    // The real prefill, with the edits.
    prompt.rlvr.forward(&prompt.tokens, |layer, residual| {
        let edited = prompt.edits.as_ref().map(|edits| edits.apply(layer, &residual)).transpose()?.flatten();
        if edited.is_some() {
            println!("residual[{layer}] goes on edited");
        }
        Ok(Some(edited.unwrap_or(residual)))
    })?;

    // What an adapter's own tests run, here on the mock engine of the core.
    let outcome = pollster::block_on(conformance::run(&mut conformance::mock::MockMaker::new(None)))?;
    print!("{outcome}");
    Ok(())
}
