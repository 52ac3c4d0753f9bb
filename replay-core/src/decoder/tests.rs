//! Every backward against finite differences of its forward.
use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor};

use super::attention::{self, KeysValues};
use super::layer::Layer;
use super::*;
use crate::learned::Differentiable;
use crate::{RowSet, Span};

const HIDDEN: usize = 16;
const SHAPE: DecoderShape = DecoderShape { heads: 4, key_value_heads: 2, head: 4, epsilon: 1e-6 };

/// Normally distributed; every test (each has a thread of its own) draws the same numbers at each run.
pub(crate) fn random(shape: impl Into<candle_core::Shape>) -> Tensor {
    thread_local!(static STATE: std::cell::Cell<u64> = const { std::cell::Cell::new(0) });
    let uniform = || {
        let state = STATE.get().wrapping_add(1);
        STATE.set(state);
        let hash = blake3::hash(&state.to_le_bytes());
        let bits = u32::from_le_bytes([hash.as_bytes()[0], hash.as_bytes()[1], hash.as_bytes()[2], 0]);
        (f64::from(bits) + 0.5) / f64::from(1 << 24)
    };
    // Box and Muller.
    let normal = || ((-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos()) as f32;
    let shape = shape.into();
    let values: Vec<f32> = (0..shape.elem_count()).map(|_| normal()).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn sum(a: &Tensor, b: &Tensor) -> f64 {
    let wide = |t: &Tensor| t.to_dtype(DType::F64).unwrap();
    (wide(a) * wide(b)).unwrap().sum_all().unwrap().to_scalar().unwrap()
}

/// `sum(c * f(x))` has slope `sum(backward(c) * v)` along `v`, for random `c` and `v`.
fn agrees(x: &Tensor, forward: impl Fn(&Tensor) -> Tensor, backward: impl Fn(&Tensor) -> Tensor) {
    const STEP: f64 = 5e-3;
    for _ in 0..4 {
        let v = random(x.shape());
        let at = |step: f64| forward(&(x + (&v * step).unwrap()).unwrap());
        let (ahead, behind) = (at(STEP), at(-STEP));
        let c = random(ahead.shape());
        let numeric = (sum(&c, &ahead) - sum(&c, &behind)) / (2.0 * STEP);
        let analytic = sum(&backward(&c), &v);
        let size = sum(&c, &c).sqrt().max(analytic.abs());
        assert!((numeric - analytic).abs() < 2e-3 * size, "numeric {numeric}, analytic {analytic}");
    }
}

#[test]
fn rms_norm_agrees_with_finite_differences() {
    let (x, weight) = (random((3, HIDDEN)), random(HIDDEN));
    agrees(
        &x,
        |x| kernel::rms_norm(x, &weight, 1e-6).unwrap(),
        |c| kernel::rms_norm_backward(&x, &weight, 1e-6, c).unwrap(),
    );
}

#[test]
fn linear_agrees_with_finite_differences() {
    let linear = Linear { weight: random((5, HIDDEN)), bias: Some(random(5)) };
    let x = random((3, HIDDEN));
    agrees(&x, |x| linear.forward(x).unwrap(), |c| linear.backward(c).unwrap());
}

fn rotary(rows: usize) -> Rotary {
    let positions: Vec<_> = (0..rows as u32).map(|row| [row, 2 * row, row / 2]).collect();
    let frequencies = frequencies(SHAPE.head, 100.0, RotaryScaling::None);
    Rotary::new(&positions, &frequencies, &Sections::Consecutive(vec![1, 1, 0]), &Device::Cpu).unwrap()
}

#[test]
fn rotary_agrees_with_finite_differences() {
    let (x, rotary) = (random((2, 3, 4)), rotary(3));
    agrees(&x, |x| rotary.forward(x).unwrap(), |c| rotary.backward(c).unwrap());
}

#[test]
fn sections_divide_the_frequencies() {
    let axes = |sections: Sections, half| {
        let positions = [[100, 200, 300]];
        // The angle is the position itself.
        let rotary = Rotary::new(&positions, &vec![1.0; half], &sections, &Device::Cpu).unwrap();
        let cos = rotary.forward(&Tensor::ones((1, 1, 2 * half), DType::F32, &Device::Cpu).unwrap()).unwrap();
        let cos = cos.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let axis = |x: f32| (1..=3).find(|i| (x - ((i * 100) as f32).cos() + ((i * 100) as f32).sin()).abs() < 1e-4);
        cos[..half].iter().map(|&x| axis(x).unwrap() - 1).collect::<Vec<_>>()
    };
    assert_eq!(axes(Sections::Consecutive(vec![2, 3, 1]), 6), [0, 0, 1, 1, 1, 2]);
    assert_eq!(axes(Sections::Interleaved(vec![3, 2, 1]), 6), [0, 1, 2, 0, 1, 0]);
}

#[test]
fn gated_silu_agrees_with_finite_differences() {
    let (gate, up) = (random((3, 300)), random((3, 300)));
    agrees(&gate, |x| kernel::gated(x, &up).unwrap(), |c| kernel::gated_backward(&gate, &up, c).unwrap().0);
    agrees(&up, |x| kernel::gated(&gate, x).unwrap(), |c| kernel::gated_backward(&gate, &up, c).unwrap().1);
}

/// More rows than a block has queries, constant keys before them, some queries only.
#[test]
fn attention_agrees_with_finite_differences() {
    let rows = 140;
    let (front_keys, front_values) = (random((2, 3, 4)), random((2, 3, 4)));
    let (keys, values) = (random((2, rows, 4)), random((2, rows, 4)));
    for selected in [(0..rows).collect::<Vec<_>>(), vec![0, 7, 139]] {
        let queries = random((4, selected.len(), 4));
        let visible: Vec<usize> = selected.iter().map(|row| row + 4).collect();
        let joined = |front: &Tensor, own: &Tensor| Tensor::cat(&[front, own], 1).unwrap();
        let run = |queries: &Tensor, keys: &Tensor, values: &Tensor, c: Option<&Tensor>| {
            let (keys, values) = (joined(&front_keys, keys), joined(&front_values, values));
            let cache = KeysValues { keys: &keys, values: &values, visible: &visible, constant: 3 };
            match c {
                None => vec![attention::forward(queries, &cache).unwrap()],
                Some(c) => {
                    let (a, b, c) = attention::backward(queries, &cache, c).unwrap();
                    vec![a, b, c]
                }
            }
        };
        agrees(
            &queries,
            |x| run(x, &keys, &values, None).remove(0),
            |c| run(&queries, &keys, &values, Some(c)).remove(0),
        );
        agrees(
            &keys,
            |x| run(&queries, x, &values, None).remove(0),
            |c| run(&queries, &keys, &values, Some(c)).remove(1),
        );
        agrees(
            &values,
            |x| run(&queries, &keys, x, None).remove(0),
            |c| run(&queries, &keys, &values, Some(c)).remove(2),
        );
    }
}

pub(crate) struct Random {
    layers: Vec<LayerWeights>,
    norm: Tensor,
    head: Tensor,
}

impl Random {
    pub(crate) fn new(layers: usize, vocabulary: usize, head_norms: bool) -> Self {
        let scaled = |out: usize, inner: usize| (random((out, inner)) * 0.3).unwrap();
        let near_one = |width: usize| ((random(width) * 0.1).unwrap() + 1.0).unwrap();
        let linear = |out, inner| Linear { weight: scaled(out, inner), bias: None };
        let biased = |out, inner| Linear { weight: scaled(out, inner), bias: Some(random(out)) };
        let layer = || LayerWeights {
            input_norm: near_one(HIDDEN),
            query: biased(16, HIDDEN),
            key: biased(8, HIDDEN),
            value: biased(8, HIDDEN),
            head_norms: head_norms.then(|| (near_one(4), near_one(4))),
            output: linear(HIDDEN, 16),
            post_norm: near_one(HIDDEN),
            gate: linear(24, HIDDEN),
            up: linear(24, HIDDEN),
            down: linear(HIDDEN, 24),
        };
        Self {
            layers: (0..layers).map(|_| layer()).collect(),
            norm: near_one(HIDDEN),
            head: random((vocabulary, HIDDEN)),
        }
    }

    /// The same weights, each moved a little: an RLVR model to this base.
    pub(crate) fn drifted(&self, drift: f64) -> Self {
        let moved = |tensor: &Tensor| (tensor + (random(tensor.shape()) * drift).unwrap()).unwrap();
        let linear = |linear: &Linear| Linear { weight: moved(&linear.weight), bias: linear.bias.clone() };
        let layer = |layer: &LayerWeights| LayerWeights {
            query: linear(&layer.query),
            key: linear(&layer.key),
            value: linear(&layer.value),
            output: linear(&layer.output),
            gate: linear(&layer.gate),
            up: linear(&layer.up),
            down: linear(&layer.down),
            ..layer.clone()
        };
        Self { layers: self.layers.iter().map(layer).collect(), norm: moved(&self.norm), head: moved(&self.head) }
    }

    pub(crate) fn head(&self) -> &Tensor {
        &self.head
    }
}

impl DecoderWeights for Random {
    fn shape(&self) -> &DecoderShape {
        &SHAPE
    }

    fn layer(&self, layer: usize) -> Result<LayerWeights> {
        Ok(self.layers[layer].clone())
    }

    fn final_norm(&self) -> &Tensor {
        &self.norm
    }

    fn head_rows(&self, tokens: &[u32]) -> Result<Tensor> {
        self.head.index_select(&Tensor::new(tokens, &Device::Cpu)?, 0)
    }
}

#[test]
fn a_layer_agrees_with_finite_differences() {
    for head_norms in [false, true] {
        let weights = Random::new(1, 8, head_norms).layer(0).unwrap();
        let (x, rotary) = (random((6, HIDDEN)), rotary(6));
        for selected in [None, Some(&[1, 4][..])] {
            let layer = Layer { shape: &SHAPE, weights: &weights, rotary: &rotary, earlier: None, selected };
            let forward = |x: &Tensor| layer.output(&layer.intermediate(x).unwrap()).unwrap();
            agrees(&x, forward, |c| layer.backward(&x, &layer.intermediate(&x).unwrap(), c).unwrap());
        }
    }
}

/// A prompt of `rows` rows through a random decoder, with something added to its visual rows after the first layer.
pub(crate) fn span(weights: &Arc<Random>, input: &Tensor, rows: std::ops::Range<usize>, layers: usize) -> DecoderSpan {
    let visual = RowSet::new(rows.clone().step_by(2).collect()).unwrap();
    let residuals = BTreeMap::from([(0, input.clone())]);
    let rotary = rotary(rows.end);
    let span = Span::new(rows);
    let input = SpanInput { layers: 0..layers, residuals: &residuals, span, visual: &visual, rotary };
    DecoderSpan::new(weights.clone(), input).unwrap()
}

fn close(a: &Tensor, b: &Tensor, tolerance: f32) {
    let worst = (a - b).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar::<f32>().unwrap();
    assert!(worst < tolerance, "{worst:e}");
}

#[test]
fn rows_before_the_span_are_constant_and_change_nothing() {
    let (weights, input) = (Arc::new(Random::new(3, 8, true)), random((9, HIDDEN)));
    let (whole, cut) = (span(&weights, &input, 0..9, 3), span(&weights, &input, 4..9, 3));
    let (mut all, mut some) = (whole.input().clone(), cut.input().clone());
    for layer in 0..3 {
        all = whole.forward(layer, &all, None).unwrap().0;
        some = cut.forward(layer, &some, None).unwrap().0;
        close(&all.narrow(0, 4, 5).unwrap(), &some, 1e-5);
    }
}

#[test]
fn what_is_added_between_layers_is_found_and_stays_on_visual_rows() {
    let (weights, input) = (Arc::new(Random::new(2, 8, false)), random((6, HIDDEN)));
    let plain = span(&weights, &input, 0..6, 2);
    let (first, _) = plain.forward(0, plain.input(), None).unwrap();
    let mask = Tensor::new(&[[0f32], [0.], [1.], [1.], [0.], [0.]], &Device::Cpu).unwrap();
    let features = random((6, HIDDEN)).broadcast_mul(&mask).unwrap();
    let residuals = BTreeMap::from([(0, input.clone()), (1, (&first + &features).unwrap())]);
    let rotary = rotary(4);
    let (rows, visual) = (Span::new(2..4), RowSet::range(2..4));
    let input = SpanInput { layers: 0..2, residuals: &residuals, span: rows, visual: &visual, rotary };
    let deep = DecoderSpan::new(weights, input).unwrap();
    let (got, _) = deep.forward(0, deep.input(), None).unwrap();
    close(&got, &(first + features).unwrap().narrow(0, 2, 2).unwrap(), 1e-5);
    let second = rows.locate(&RowSet::range(3..4)).unwrap();
    let (one, _) = deep.forward(0, deep.input(), Some(&second)).unwrap();
    close(&one, &got.narrow(0, 1, 1).unwrap(), 1e-5);
}

#[test]
fn a_tape_saves_work_and_changes_no_bit() {
    let (weights, input) = (Arc::new(Random::new(1, 8, true)), random((5, HIDDEN)));
    let model = span(&weights, &input, 1..5, 1);
    let gradient = random((4, HIDDEN));
    let (_, tape) = model.forward(0, model.input(), None).unwrap();
    assert!(tape.bytes() > 0);
    let with = model.backward(0, model.input(), None, Some(tape), &gradient).unwrap();
    let without = model.backward(0, model.input(), None, None, &gradient).unwrap();
    assert_eq!(with.to_vec2::<f32>().unwrap(), without.to_vec2::<f32>().unwrap());
}

#[test]
fn half_precision_and_strided_values_are_errors_in_a_kernel() {
    let half = random((2, 4)).to_dtype(DType::F16).unwrap();
    assert!(kernel::gated(&half, &half).is_err());
    let strided = random((4, 2)).t().unwrap();
    assert!(kernel::gated(&strided, &strided).is_err());
}
