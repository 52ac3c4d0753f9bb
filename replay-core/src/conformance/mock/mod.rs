//! An engine of a few lines that passes every check, and faults of it that each fail one.
mod gradients;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use candle_core::{Device, Tensor};

use super::{Check, Maker, Observed, Plan, Prefill, Subject};
use crate::learned::Differentiable;
use crate::lens::LogitLens;
use crate::substitute::Edits;
use crate::{
    Activations, Error, Grid, Image, ImageContent, ModelInfo, PairInfo, PromptMap, ReplayBackend, Result, Role,
};

const LAYERS: usize = 5;
const HIDDEN: usize = 8;
const VOCABULARY: usize = 16;
const PLACEHOLDER: u32 = 15;

/// A way of being wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Rows are labelled with the place in the batch of their engine, not with their sequence.
    SequencesShareAName,
    /// Edits stay armed for the next prefill of the prompt.
    EditsStayArmed,
    /// A capture leaves something behind for the prefill.
    CapturePerturbs,
    /// A stopped pass leaves something behind for the next pass.
    EarlyExitPerturbs,
    /// Edits land one row further down.
    EditsShifted,
    /// Edits land one layer further up.
    EditsOneLayerLate,
    /// Edits are accepted and forgotten.
    EditsIgnored,
    /// The base is read in lower precision.
    BaseRounded,
    /// In a batch, the edits of the first prompt reach every prompt.
    EditsForTheWholeBatch,
    /// A row's gradient leaves out what the row does to later ones.
    GradientsOfRowsAlone,
    /// The differentiable layers begin one layer late.
    GradientsOneLayerLate,
}

impl Fault {
    /// All faults.
    pub const ALL: [Self; 11] = [
        Self::SequencesShareAName,
        Self::EditsStayArmed,
        Self::CapturePerturbs,
        Self::EarlyExitPerturbs,
        Self::EditsShifted,
        Self::EditsOneLayerLate,
        Self::EditsIgnored,
        Self::BaseRounded,
        Self::EditsForTheWholeBatch,
        Self::GradientsOfRowsAlone,
        Self::GradientsOneLayerLate,
    ];

    /// The check that finds it.
    pub fn breaks(self) -> Check {
        match self {
            Self::SequencesShareAName => Check::LabelsAreWhole,
            Self::EditsStayArmed => Check::OffIsIdentical,
            Self::CapturePerturbs => Check::CaptureDoesNotPerturb,
            Self::EarlyExitPerturbs => Check::EarlyExitLeavesNoTrace,
            Self::EditsShifted | Self::EditsOneLayerLate | Self::EditsIgnored => Check::EditsLandOnTheirRows,
            Self::BaseRounded => Check::TwinsAreANoOp,
            Self::EditsForTheWholeBatch => Check::RowsStayWithTheirSequence,
            Self::GradientsOfRowsAlone | Self::GradientsOneLayerLate => Check::GradientsAreOfThePasses,
        }
    }
}

/// Makes mock engines with one fault, or none.
#[derive(Debug)]
pub struct MockMaker(Option<Fault>);

impl MockMaker {
    /// A maker of engines with this fault.
    pub fn new(fault: Option<Fault>) -> Self {
        Self(fault)
    }
}

#[async_trait(?Send)]
impl Maker for MockMaker {
    async fn make(&mut self, twins: bool) -> Result<Box<dyn Subject>> {
        Ok(Box::new(Mock::new(self.0, twins)))
    }
}

type Stream = Vec<[f32; HIDDEN]>;

/// A decoder whose layers mix every row with the mean of the rows before it.
#[derive(Debug, Clone)]
struct Model {
    seed: u32,
}

impl Model {
    /// A weight between -0.5 and 0.5.
    fn weight(&self, layer: usize, i: usize, j: usize) -> f32 {
        let mut x = self.seed ^ ((layer * 10_007 + i * 101 + j + 1) as u32).wrapping_mul(0x9E37_79B9);
        x = (x ^ (x >> 15)).wrapping_mul(0x85EB_CA6B);
        x = (x ^ (x >> 13)).wrapping_mul(0xC2B2_AE35);
        ((x ^ (x >> 16)) % 10_000) as f32 / 10_000.0 - 0.5
    }

    fn embed(&self, tokens: &[u32], image: u32) -> Stream {
        let visual = |position: usize| 1000 + image as usize * 50 + position;
        let row = |(position, &token): (usize, &u32)| {
            let entry = if token == PLACEHOLDER { visual(position) } else { token as usize };
            std::array::from_fn(|i| 2.0 * self.weight(99, entry, i))
        };
        tokens.iter().enumerate().map(row).collect()
    }

    fn layer(&self, layer: usize, stream: &Stream) -> Stream {
        let mut sum = [0f32; HIDDEN];
        let row = |(position, row): (usize, &[f32; HIDDEN])| {
            sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
            let mixed: [f32; HIDDEN] = std::array::from_fn(|i| row[i] + sum[i] / (position + 1) as f32);
            std::array::from_fn(|i| {
                let dot: f32 = (0..HIDDEN).map(|j| self.weight(layer, i, j) * mixed[j]).sum();
                row[i] + dot.tanh()
            })
        };
        stream.iter().enumerate().map(row).collect()
    }
}

impl LogitLens for Model {
    fn vocabulary(&self) -> usize {
        VOCABULARY
    }

    fn logits(&self, residual: &Tensor) -> candle_core::Result<Tensor> {
        let head: Vec<f32> =
            (0..HIDDEN * VOCABULARY).map(|i| self.weight(50, i / VOCABULARY, i % VOCABULARY)).collect();
        residual.matmul(&Tensor::from_vec(head, (HIDDEN, VOCABULARY), residual.device())?)
    }
}

fn tensor(stream: &Stream) -> Result<Tensor> {
    Ok(Tensor::from_vec(stream.concat(), (stream.len(), HIDDEN), &Device::Cpu)?)
}

/// The mock engine: two prompts with two images of 2x2 and 1x2 tokens each.
#[derive(Debug)]
struct Mock {
    fault: Option<Fault>,
    base: Model,
    rlvr: Model,
    pair: PairInfo,
    prompts: [Vec<u32>; 2],
    armed: HashMap<usize, Arc<Edits>>,
}

impl Mock {
    fn new(fault: Option<Fault>, twins: bool) -> Self {
        let info = |id: &str| ModelInfo {
            id: id.into(),
            architecture: "mock".into(),
            decoder_layers: LAYERS,
            loaded_layers: LAYERS,
            hidden: HIDDEN,
            vocabulary: VOCABULARY,
            dtype: "F32".into(),
            fingerprint: format!("{id} {twins}"),
        };
        let prompt = |first: u32| {
            let images = [vec![first, 2], vec![PLACEHOLDER; 4], vec![3], vec![PLACEHOLDER; 2], vec![4, first + 5]];
            images.concat()
        };
        Self {
            fault,
            base: Model { seed: if twins { 7 } else { 8 } },
            rlvr: Model { seed: 7 },
            pair: PairInfo { base: info("mock-base"), rlvr: info("mock-rlvr") },
            prompts: [prompt(1), prompt(6)],
            armed: HashMap::new(),
        }
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// The real prefill: log-probabilities of the first generated token.
    fn forward(&self, prompt: usize, edits: Option<&Edits>, perturbed: bool) -> Result<Vec<f32>> {
        let mut stream = self.rlvr.embed(&self.prompts[prompt], prompt as u32);
        if perturbed {
            stream[0][0] += 0.01;
        }
        for layer in 0..=LAYERS {
            let edited = if self.has(Fault::EditsOneLayerLate) { layer.checked_sub(1) } else { Some(layer) };
            if let (Some(edits), Some(edited)) = (edits, edited)
                && let Some(rows) = edits.apply(edited, &tensor(&stream)?)?
            {
                let rows: Vec<Vec<f32>> = rows.to_vec2()?;
                let shift = usize::from(self.has(Fault::EditsShifted));
                let selected = &edits.layer(edited).ok_or(Error::NotCaptured { role: Role::Base, layer })?.rows;
                for &row in selected {
                    let to = (row + shift).min(stream.len() - 1);
                    stream[to].copy_from_slice(&rows[row]);
                }
            }
            if layer < LAYERS {
                stream = self.rlvr.layer(layer, &stream);
            }
        }
        let last = tensor(&stream[stream.len() - 1..].to_vec())?;
        let logits = self.rlvr.logits(&last)?.flatten_all()?.to_vec1::<f32>()?;
        let sum: f32 = logits.iter().map(|x| x.exp()).sum();
        Ok(logits.iter().map(|x| x - sum.ln()).collect())
    }
}

#[async_trait(?Send)]
impl Subject for Mock {
    fn decoder_layers(&self) -> usize {
        LAYERS
    }

    async fn prefill(&mut self, batch: Vec<(usize, Plan)>) -> Result<Vec<Prefill>> {
        let mut prefills = Vec::new();
        let mut perturbed = Vec::new();
        for (prompt, plan) in &batch {
            let mut backend = Backend::new(self, *prompt)?;
            let observed = if plan.0.is_empty() { Observed::default() } else { plan.run(&mut backend).await? };
            let (edits, captured) = (backend.edits.take(), backend.passes > 0);
            if let Some(edits) = edits.filter(|_| !self.has(Fault::EditsIgnored)) {
                self.armed.insert(*prompt, edits);
            }
            perturbed.push(captured && self.has(Fault::CapturePerturbs));
            prefills.push(Prefill { log_probs: Vec::new(), observed });
        }
        for (place, (prompt, _)) in batch.iter().enumerate() {
            let mut edits = self.armed.get(prompt);
            if self.has(Fault::EditsForTheWholeBatch) {
                edits = edits.or(batch.iter().find_map(|(other, _)| self.armed.get(other)));
            }
            prefills[place].log_probs = self.forward(*prompt, edits.map(|edits| &**edits), perturbed[place])?;
        }
        if !self.has(Fault::EditsStayArmed) {
            self.armed.clear();
        }
        Ok(prefills)
    }
}

struct Backend<'a> {
    mock: &'a Mock,
    prompt: usize,
    map: PromptMap,
    edits: Option<Arc<Edits>>,
    passes: usize,
    stopped: bool,
}

impl<'a> Backend<'a> {
    fn new(mock: &'a Mock, prompt: usize) -> Result<Self> {
        let image = |rows, columns| {
            let content = ImageContent::of(columns as u32, rows as u32, "mock", &[prompt as u8]);
            Image::whole(Grid { frames: 1, rows, columns }, content)
        };
        let sequence = if mock.has(Fault::SequencesShareAName) { 0 } else { prompt };
        let images = vec![image(2, 2), image(1, 2)];
        let map = PromptMap::new(sequence, &mock.prompts[prompt], |token| token == PLACEHOLDER, images)?;
        Ok(Self { mock, prompt, map, edits: None, passes: 0, stopped: false })
    }
}

#[async_trait(?Send)]
impl ReplayBackend for Backend<'_> {
    fn pair(&self) -> &PairInfo {
        &self.mock.pair
    }

    fn prompt(&self) -> &PromptMap {
        &self.map
    }

    async fn capture(&mut self, role: Role, layers: &[usize]) -> Result<Activations> {
        let model = match role {
            Role::Base => &self.mock.base,
            Role::Rlvr => &self.mock.rlvr,
        };
        let tokens = &self.mock.prompts[self.prompt];
        let mut stream = model.embed(tokens, self.prompt as u32);
        if self.stopped && self.mock.has(Fault::EarlyExitPerturbs) {
            stream[0][0] += 0.01;
        }
        let last = layers.last().copied().unwrap_or(0);
        let mut activations = Activations::new(role, tokens.len());
        for layer in 0..=last {
            if layers.contains(&layer) {
                let mut residual = tensor(&stream)?;
                if role == Role::Base && self.mock.has(Fault::BaseRounded) {
                    residual = ((residual * 1e4)?.round()? / 1e4)?;
                }
                activations.insert(layer, residual)?;
            }
            stream = model.layer(layer, &stream);
        }
        self.passes += 1;
        self.stopped = last < LAYERS;
        Ok(activations)
    }

    async fn differentiable(&mut self, role: Role, layers: Range<usize>) -> Result<Option<Box<dyn Differentiable>>> {
        let model = match role {
            Role::Base => &self.mock.base,
            Role::Rlvr => &self.mock.rlvr,
        };
        let mut stream = model.embed(&self.mock.prompts[self.prompt], self.prompt as u32);
        for layer in 0..layers.start + usize::from(self.mock.has(Fault::GradientsOneLayerLate)) {
            stream = model.layer(layer, &stream);
        }
        let visual = self.map.visual_rows();
        let rows = visual.first().copied().unwrap_or(0)..visual.last().map_or(0, |last| last + 1);
        let forgetful = self.mock.has(Fault::GradientsOfRowsAlone);
        let layers = gradients::Layers::new(model.clone(), &stream, rows, layers, forgetful)?;
        Ok(Some(Box::new(layers)))
    }

    fn lens(&self, role: Role) -> Arc<dyn LogitLens> {
        Arc::new(match role {
            Role::Base => self.mock.base.clone(),
            Role::Rlvr => self.mock.rlvr.clone(),
        })
    }

    async fn substitute(&mut self, edits: Arc<Edits>) -> Result<()> {
        self.edits = Some(edits);
        Ok(())
    }
}
