use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use candle_core::{Device, Tensor};

use super::*;
use crate::config::{Alignment, Gate, Keep, Layers, Positions, Rule};
use crate::conformance::mock::MockMaker;
use crate::conformance::{Maker, Plan, Prefill, Step};
use crate::lens::{LensRows, LogitLens, StreamedLens};
use crate::rank::LayerEntropies;
use crate::{Activations, Exactness, Grid, Image, ImageContent, ModelInfo, PromptMap, rank};

/// Drives a future by hand: its output, and how often it was pending.
fn drive<T>(future: impl Future<Output = T>) -> (T, usize) {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    let mut pending = 0;
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return (output, pending),
            Poll::Pending => pending += 1,
        }
    }
}

async fn replayed(replay: &Replay) -> Prefill {
    let mut subject = MockMaker::new(None).make(false).await.unwrap();
    let replayer = Replayer::new(replay, subject.decoder_layers()).unwrap();
    subject.prefill(vec![(0, Plan(vec![Step::Replay(replayer)]))]).await.unwrap().remove(0)
}

/// Six visual rows, one to a block; three policy layers; both models.
#[test]
fn futures_yield_between_slices_and_the_result_is_the_same() {
    let mut substitute = Replay::new(Strategy::Substitute, Layers::First(3), Rule::Quantile(0.5));
    (substitute.lens_memory, substitute.measure_kl) = (0, true);
    let mut learned = Replay::new(Strategy::Learned, Layers::First(3), Rule::Quantile(0.5));
    (learned.lens_memory, learned.learned.iterations) = (0, 7);
    // Passes, ranking, both divergences; passes and their layers, ranking, targets, iterations.
    for (replay, least) in [(substitute, 2 + 3 * 6 + 2 * 3 * 3), (learned, 2 + 3 + 3 * 6 + 3 * 3 + 7)] {
        let (by_hand, pending) = drive(replayed(&replay));
        assert!(pending >= least, "{pending} of {least}");
        let at_once = pollster::block_on(replayed(&replay));
        assert_eq!(by_hand.log_probs, at_once.log_probs);
        let report =
            |prefill: Prefill| Report { milliseconds: Milliseconds::default(), ..prefill.observed.report.unwrap() };
        let (by_hand, at_once) = (report(by_hand), report(at_once));
        assert_eq!((by_hand.status, &by_hand), (Status::Replayed, &at_once));
    }
}

/// The residual is the logits.
struct Identity;

impl LogitLens for Identity {
    fn vocabulary(&self) -> usize {
        4
    }

    fn logits(&self, residual: &Tensor) -> candle_core::Result<Tensor> {
        Ok(residual.clone())
    }
}

/// Residuals that depend on model, layer and row; remembers what it is asked for.
struct Recorder {
    pair: PairInfo,
    map: PromptMap,
    asked: Mutex<Vec<(Role, RowSet)>>,
    /// Its own entropies, by row.
    kernel: Option<fn(usize) -> f32>,
    armed: Option<Arc<Edits>>,
}

impl Recorder {
    fn new() -> Self {
        let info = ModelInfo {
            id: String::new(),
            architecture: String::new(),
            decoder_layers: 3,
            loaded_layers: 3,
            hidden: 4,
            vocabulary: 4,
            dtype: "F32".into(),
            fingerprint: String::new(),
        };
        let image = Image::with_grid(Grid { frames: 1, rows: 1, columns: 4 }, ImageContent::of(1, 1, "", &[]));
        let map = PromptMap::new(0, &[1, 9, 9, 2, 9, 9, 3], |token| token == 9, vec![image]).unwrap();
        let pair = PairInfo { base: info.clone(), rlvr: info };
        Self { pair, map, asked: Mutex::default(), kernel: None, armed: None }
    }

    fn residual(&self, role: Role, layer: usize) -> Tensor {
        let mixed = |x: usize| x * x * 97 % 1009;
        let seed = |row: usize, i: usize| mixed(mixed(role as usize * 31 + layer * 17 + row * 7) + i * 3);
        let rows = 0..self.map.len();
        let values = rows.flat_map(|row| (0..4).map(move |i| seed(row, i) as f32 / 300.0)).collect();
        Tensor::from_vec(values, (self.map.len(), 4), &Device::Cpu).unwrap()
    }
}

#[async_trait(?Send)]
impl ReplayBackend for Recorder {
    fn pair(&self) -> &PairInfo {
        &self.pair
    }

    fn prompt(&self) -> &PromptMap {
        &self.map
    }

    fn exactness(&self) -> Exactness {
        Exactness::Bits
    }

    async fn capture(&mut self, role: Role, layers: &[usize], rows: &RowSet) -> Result<Activations> {
        self.asked.lock().unwrap().push((role, rows.clone()));
        let mut activations = Activations::new(role, rows.clone());
        for &layer in layers {
            activations.insert_from(layer, &self.residual(role, layer))?;
        }
        Ok(activations)
    }

    fn lens(&self, _: Role) -> Arc<dyn LogitLens> {
        Arc::new(Identity)
    }

    async fn entropies(
        &mut self,
        activations: &Activations,
        wanted: &[LensRows],
        memory: u64,
    ) -> Result<Vec<Vec<f32>>> {
        match self.kernel {
            Some(kernel) => Ok(wanted.iter().map(|wanted| wanted.rows.iter().map(kernel).collect()).collect()),
            None => crate::lens::entropies(&Identity, memory, activations, wanted).await,
        }
    }

    async fn substitute(&mut self, edits: Arc<Edits>) -> Result<()> {
        self.armed = Some(edits);
        Ok(())
    }
}

fn settings(positions: Positions, alignment: Alignment) -> Replay {
    let mut replay = Replay::new(Strategy::Substitute, Layers::First(2), Rule::Quantile(0.6));
    (replay.positions, replay.alignment, replay.measure_kl, replay.rank.base_below_rlvr) =
        (positions, alignment, true, true);
    replay
}

/// Ranked, edited and measured by hand, from residuals of all rows.
#[test]
fn only_candidates_are_captured_and_the_result_is_that_of_all_rows() {
    for positions in [Positions::Visual, Positions::All] {
        for alignment in [Alignment::Aligned, Alignment::Released] {
            let mut backend = Recorder::new();
            let replay = settings(positions, alignment);
            let report = drive(Replayer::new(&replay, 3).unwrap().replay(&mut backend, None)).0.unwrap().report;
            let candidates = backend.map.candidates(positions);
            let asked = backend.asked.lock().unwrap().clone();
            assert_eq!(asked, [(Role::Base, candidates.clone()), (Role::Rlvr, candidates.clone())]);

            let entropies = |role| {
                let lens = StreamedLens::new(&Identity, replay.lens_memory);
                let of_layer = |layer: usize| {
                    let all = drive(lens.entropy(&backend.residual(role, layer + 1))).0.unwrap();
                    let values = candidates.iter().map(|row| all[row]).collect();
                    LayerEntropies::new(layer, candidates.clone(), values).unwrap()
                };
                [0, 1].map(of_layer)
            };
            let selection = rank::select(&replay.rank, &entropies(Role::Base), Some(&entropies(Role::Rlvr))).unwrap();
            assert!(!selection.is_empty());
            let armed = backend.armed.as_ref().unwrap();
            for (layer, report) in selection.layers.iter().zip(&report.layers) {
                assert_eq!(report.selected, layer.rows.len());
                let residual = alignment.edited_residual(layer.layer);
                let own = backend.residual(Role::Rlvr, residual);
                let edited = armed.apply(residual, &own).unwrap().map(|edited| edited.to_vec2::<f32>().unwrap());
                let base = backend.residual(Role::Base, residual).to_vec2::<f32>().unwrap();
                let own = own.to_vec2::<f32>().unwrap();
                let expected = (0..own.len()).map(|row| if layer.rows.contains(row) { &base[row] } else { &own[row] });
                let expected: Vec<_> = expected.cloned().collect();
                assert_eq!(edited.unwrap_or(own), expected);
                assert!(report.kl.is_none_or(|kl| kl.before > 0.0 && kl.after == 0.0), "{report:?}");
            }
        }
    }
}

#[test]
fn an_engine_may_compute_entropies_by_itself() {
    let mut backend = Recorder::new();
    backend.kernel = Some(|row| 10.0 - row as f32);
    let mut replay = settings(Positions::All, Alignment::Aligned);
    (replay.rank.base_below_rlvr, replay.rank.rule) = (false, Rule::Top(2));
    drive(Replayer::new(&replay, 3).unwrap().replay(&mut backend, None)).0.unwrap();
    assert_eq!(backend.armed.unwrap().layer(1).unwrap().rows().as_slice(), [5, 6]);
}

/// The gate measures the text rows, closes from the drift of the prompt on, and keeps what it measured.
#[test]
fn the_gate_replays_prompts_below_the_drift_only() {
    let gated = |drift_below: f64| {
        let mut replay = Replay::new(Strategy::Substitute, Layers::First(3), Rule::Quantile(0.5));
        replay.gate = Gate { drift_below: Some(drift_below), residual: Some(2) };
        pollster::block_on(replayed(&replay)).observed.report.unwrap()
    };
    let open = gated(1e9);
    let gate = open.gate.unwrap();
    assert!(gate.open && gate.drift > 0.0 && gate.residual == 2 && open.status == Status::Replayed, "{open:?}");
    let closed = gated(gate.drift);
    assert_eq!((closed.status, closed.gate.unwrap().open, closed.layers.len()), (Status::Passthrough, false, 0));
    assert!(closed.reason.unwrap().starts_with("the gate is closed: the text rows drift by"));
    assert!(gated(gate.drift * 1.0001).gate.unwrap().open);
}

#[test]
fn the_gate_measures_a_prompt_once_and_its_text_counts() {
    let mut replay = Replay::new(Strategy::Substitute, Layers::First(2), Rule::Quantile(0.5));
    replay.gate.drift_below = Some(1e9);
    let (replayer, cache) = (Replayer::new(&replay, 3).unwrap(), ReplayCache::new(1 << 20));
    let passes = |recorder: &mut Recorder| {
        pollster::block_on(replayer.replay(recorder, Some(&cache))).unwrap();
        std::mem::take(&mut *recorder.asked.lock().unwrap())
    };
    let mut recorder = Recorder::new();
    let text =
        RowSet::new(recorder.map.rows().iter().filter(|row| row.visual.is_none()).map(|row| row.position).collect());
    let text = text.unwrap();
    let first = passes(&mut recorder);
    assert_eq!(first[..2], [(Role::Base, text.clone()), (Role::Rlvr, text)]);
    assert!(first.len() > 2 && passes(&mut recorder).is_empty());
}

/// As many rows as `low` selects, those with the largest distance between the models, computed by hand.
#[test]
fn drifted_rows_are_those_that_moved_most() {
    let mut replay = Replay::new(Strategy::Substitute, Layers::First(2), Rule::Quantile(0.5));
    replay.rank.keep = Keep::Drifted;
    let mut backend = Recorder::new();
    drive(Replayer::new(&replay, 3).unwrap().replay(&mut backend, None)).0.unwrap();
    let visual = backend.map.candidates(Positions::Visual);
    for residual in [1, 2] {
        let rows = |role| backend.residual(role, residual).to_vec2::<f32>().unwrap();
        let (base, rlvr) = (rows(Role::Base), rows(Role::Rlvr));
        let length = |row: &[f32]| row.iter().map(|x| x * x).sum::<f32>().sqrt();
        let drift = |row: usize| {
            let moved: Vec<f32> = base[row].iter().zip(&rlvr[row]).map(|(b, r)| r - b).collect();
            length(&moved) / length(&base[row])
        };
        let mut wanted: Vec<usize> = visual.iter().collect();
        wanted.sort_by(|&a, &b| drift(b).total_cmp(&drift(a)));
        wanted.truncate(2);
        wanted.sort_unstable();
        assert_eq!(backend.armed.as_ref().unwrap().layer(residual).unwrap().rows().as_slice(), wanted);
    }
}
