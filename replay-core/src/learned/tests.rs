//! Objective and solvers over a random decoder.
use std::ops::ControlFlow;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

use super::*;
use crate::RowSet;
use crate::config::{Learned as Settings, Solver};
use crate::decoder::DecoderSpan;
use crate::decoder::tests::{Random, random, span};
use crate::lens::{LogitLens, StreamedLens};
use crate::rows::{Span, SpanRows, select_rows};

const ROWS: usize = 9;
const VOCABULARY: usize = 40;
/// Counted from the first row of the span.
const VISUAL: [usize; 4] = [0, 2, 3, 6];

struct Lens<'a>(&'a Random, &'a DecoderSpan);

impl LogitLens for Lens<'_> {
    fn vocabulary(&self) -> usize {
        VOCABULARY
    }

    fn logits(&self, residual: &Tensor) -> candle_core::Result<Tensor> {
        self.1.norm(residual).map_err(candle_core::Error::wrap)?.matmul(&self.0.head().t()?)
    }
}

struct Pair {
    base: (Arc<Random>, DecoderSpan),
    rlvr: (Arc<Random>, DecoderSpan),
}

impl Pair {
    fn new(twins: bool) -> Self {
        let input = random((ROWS, 16));
        let weights = Arc::new(Random::new(3, VOCABULARY, true));
        let others = if twins { weights.clone() } else { Arc::new(weights.drifted(0.1)) };
        let of = |weights: Arc<Random>| (weights.clone(), span(&weights, &input, 1..ROWS, 3));
        Self { base: of(weights), rlvr: of(others) }
    }

    /// Layers 0 and 2, aligned.
    fn base_rows(&self) -> [BaseRows; 2] {
        let base = &self.base.1;
        let residuals = pollster::block_on(clean_residuals(base, &[1, 2, 3])).unwrap();
        let (first, last) = (located(&[0, 3]), located(&[2, 3, 6]));
        let first_rows = select_rows(&residuals[&1], first.as_slice()).unwrap();
        let last_rows = last_rows(base, 2, &residuals, &last).unwrap().unwrap();
        [
            BaseRows { layer: 0, rows: first, residual: 1, values: first_rows },
            BaseRows { layer: 2, rows: last, residual: 3, values: last_rows },
        ]
    }

    fn targets(&self, top: usize) -> Targets {
        let (weights, base) = &self.base;
        let lens = Lens(weights, base);
        pollster::block_on(Targets::lens(base, StreamedLens::new(&lens, 1 << 20), &self.base_rows(), top)).unwrap()
    }

    /// The targets of either loss.
    fn both_targets(&self) -> [Targets; 2] {
        [self.targets(10), Targets::states(&self.base_rows()).unwrap()]
    }
}

/// Rows of the span, which begins at row 1.
fn located(rows: &[usize]) -> SpanRows {
    let rows = RowSet::new(rows.iter().map(|row| row + 1).collect()).unwrap();
    Span::new(1..ROWS).locate(&rows).unwrap()
}

fn objective<'a>(pair: &'a Pair, targets: &'a Targets, memory: u64) -> Objective<'a> {
    Objective::new(&pair.rlvr.1, targets, &located(&VISUAL), true, memory).unwrap()
}

#[test]
fn a_delta_of_another_shape_is_refused() {
    let pair = Pair::new(false);
    let targets = pair.targets(10);
    let error = objective(&pair, &targets, 0).evaluate(&random((3, 16)), false).unwrap_err().to_string();
    assert_eq!(error, "delta: expected [4, 16], got [3, 16]");
}

fn random_delta(scale: f64) -> Tensor {
    (random((VISUAL.len(), 16)) * scale).unwrap()
}

fn run(objective: &Objective<'_>, settings: &Settings) -> Solution {
    pollster::block_on(solve(objective, settings, &mut |_| ControlFlow::Continue(()))).unwrap()
}

#[test]
fn the_gradient_agrees_with_finite_differences() {
    let pair = Pair::new(false);
    for targets in pair.both_targets() {
        let objective = objective(&pair, &targets, u64::MAX);
        let delta = random_delta(0.1);
        let gradient = objective.evaluate(&delta, true).unwrap().gradient.unwrap();
        for _ in 0..5 {
            let v = random_delta(1.0);
            let at = |step: f64| objective.evaluate(&(&delta + (&v * step).unwrap()).unwrap(), false).unwrap().loss;
            let numeric = (at(2e-3) - at(-2e-3)) / 4e-3;
            let analytic = f64::from((&gradient * &v).unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap());
            assert!((numeric - analytic).abs() < 1e-3 * analytic.abs().max(0.05), "{numeric} {analytic}");
        }
    }
}

#[test]
fn memory_for_activations_changes_no_bit() {
    let pair = Pair::new(false);
    let targets = pair.targets(10);
    let delta = random_delta(0.1);
    let gradient = |memory| {
        let got = objective(&pair, &targets, memory).evaluate(&delta, true).unwrap();
        (got.loss, got.gradient.unwrap().to_vec2::<f32>().unwrap())
    };
    assert_eq!(gradient(u64::MAX), gradient(0));
    assert_eq!(gradient(u64::MAX), gradient(10_000));
}

#[test]
fn equal_models_have_a_loss_of_exactly_zero_and_learn_nothing() {
    let pair = Pair::new(true);
    for targets in pair.both_targets() {
        let objective = objective(&pair, &targets, u64::MAX);
        for solver in [Solver::GradientDescent, Solver::Lbfgs] {
            let got = run(&objective, &Settings { solver, ..Settings::default() });
            assert_eq!((got.losses, got.final_loss, got.stop), (vec![0.0], 0.0, Stop::Zero));
            assert_eq!(got.delta.abs().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap(), 0.0);
        }
    }
}

/// The loss of all rows, the whole vocabulary in place of gathered rows, and no row left out of the last layer.
#[test]
fn nothing_that_matters_is_left_out() {
    let pair = Pair::new(false);
    let targets = pair.targets(VOCABULARY);
    let delta = random_delta(0.3);
    let got = objective(&pair, &targets, 0).evaluate(&delta, false).unwrap().loss;

    let residual = |(weights, model): &(Arc<Random>, DecoderSpan), delta: Option<&Tensor>, last: usize| {
        let rows = Tensor::new(VISUAL.map(|row| row as u32).as_slice(), &Device::Cpu).unwrap();
        let mut x = model.input().clone();
        if let Some(delta) = delta {
            x = x.index_add(&rows, delta, 0).unwrap();
        }
        for layer in 0..last {
            x = model.forward(layer, &x, None).unwrap().0;
        }
        let logits = Lens(weights, model).logits(&x).unwrap().to_dtype(DType::F64).unwrap();
        logits.to_vec2::<f64>().unwrap()
    };
    let log_softmax = |row: &[f64]| {
        let sum: f64 = row.iter().map(|x| x.exp()).sum();
        row.iter().map(|x| x - sum.ln()).collect::<Vec<_>>()
    };
    let mut want = 0.0;
    for (last, rows) in [(1, &[0, 3][..]), (3, &[2, 3, 6])] {
        let (base, rlvr) = (residual(&pair.base, None, last), residual(&pair.rlvr, Some(&delta), last));
        let kl = |row: &usize| {
            let (p, q) = (log_softmax(&base[*row]), log_softmax(&rlvr[*row]));
            p.iter().zip(&q).map(|(p, q)| p.exp() * (p - q)).sum::<f64>()
        };
        want += rows.iter().map(kl).sum::<f64>() / rows.len() as f64;
    }
    want /= VISUAL.len() as f64;
    assert!((got - want).abs() < 1e-4 * want, "{got} {want}");
}

/// The terms of loss `residual` are the relative squared distances at the selected rows, and the solver lowers their sum.
#[test]
fn the_loss_of_hidden_states_is_their_distance() {
    let pair = Pair::new(false);
    let targets = Targets::states(&pair.base_rows()).unwrap();
    let objective = objective(&pair, &targets, 0);
    let rlvr = pollster::block_on(clean_residuals(&pair.rlvr.1, &[1, 3])).unwrap();
    let want = pair.base_rows().map(|base| {
        let values = |tensor: &Tensor| tensor.to_dtype(DType::F64).unwrap().to_vec2::<f64>().unwrap();
        let (base, rlvr) =
            (values(&base.values), values(&select_rows(&rlvr[&base.residual], base.rows.as_slice()).unwrap()));
        let distance = |(b, r): (&Vec<f64>, &Vec<f64>)| {
            let difference: f64 = b.iter().zip(r).map(|(b, r)| (r - b).powi(2)).sum();
            difference / b.iter().map(|b| b * b).sum::<f64>()
        };
        base.iter().zip(&rlvr).map(distance).sum::<f64>() / base.len() as f64
    });
    let got = objective.evaluate(&objective.zero().unwrap(), false).unwrap();
    for (got, want) in got.terms.iter().zip(want) {
        assert!((f64::from(*got) - want).abs() < 1e-4 * want, "{got} {want}");
    }
    assert!((got.loss - want.iter().sum::<f64>() / VISUAL.len() as f64).abs() < 1e-4 * got.loss);
    let solved =
        run(&objective, &Settings { solver: Solver::Lbfgs, iterations: 20, learning_rate: 0.5, ..Settings::default() });
    assert!(solved.final_loss < 0.2 * got.loss, "{} of {}", solved.final_loss, got.loss);
}

#[test]
fn the_fast_solver_reaches_the_loss_of_the_reference_in_a_third_of_its_passes() {
    let pair = Pair::new(false);
    let targets = pair.targets(10);
    let objective = objective(&pair, &targets, u64::MAX);
    let settings = Settings { iterations: 30, learning_rate: 0.5, ..Settings::default() };
    let reference = run(&objective, &settings);
    assert!(reference.losses.is_sorted_by(|a, b| a > b), "{:?}", reference.losses);
    assert_eq!((reference.losses.len(), reference.stop), (30, Stop::Iterations));
    let fast = run(&objective, &Settings { solver: Solver::Lbfgs, iterations: 10, ..settings });
    assert!(fast.final_loss <= reference.final_loss, "{} {}", fast.final_loss, reference.final_loss);
    assert!(fast.losses.len() <= 10);
}

#[test]
fn a_rising_loss_ends_the_search_with_the_best_delta() {
    let pair = Pair::new(false);
    let targets = pair.targets(10);
    let objective = objective(&pair, &targets, u64::MAX);
    let got = run(&objective, &Settings { learning_rate: 1e3, ..Settings::default() });
    assert_eq!(got.stop, Stop::Rising);
    let lowest = got.losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(got.final_loss, lowest);
    let again = objective.evaluate(&got.delta, false).unwrap().loss;
    assert!((again - lowest).abs() <= 1e-6 * lowest, "{again} {lowest}");
}

#[test]
fn a_loss_that_is_not_finite_ends_the_search_with_the_best_delta() {
    let pair = Pair::new(false);
    let targets = pair.targets(10);
    let objective = objective(&pair, &targets, u64::MAX);
    let got = run(&objective, &Settings { learning_rate: f64::MAX, ..Settings::default() });
    assert!(matches!(got.stop, Stop::NotFinite | Stop::Rising), "{:?}", got.stop);
    assert_eq!(got.final_loss, got.losses[0]);
    assert!(got.delta.to_vec2::<f32>().unwrap().iter().flatten().all(|x| *x == 0.0));
}

#[test]
fn budgets_tolerance_and_a_client_gone_end_the_search() {
    let pair = Pair::new(false);
    let targets = pair.targets(10);
    let objective = objective(&pair, &targets, u64::MAX);
    let slow = Settings { learning_rate: 1e-3, iterations: 1000, ..Settings::default() };
    let got = run(&objective, &Settings { tolerance: 0.5, ..slow.clone() });
    assert_eq!((got.stop, got.losses.len()), (Stop::Tolerance, 2));
    let started = std::time::Instant::now();
    let got = run(&objective, &Settings { time_budget_ms: 1, iterations: 1_000_000, ..slow.clone() });
    assert_eq!(got.stop, Stop::TimeBudget);
    assert!(started.elapsed().as_secs() < 60);
    let mut passes = 0;
    let gone = pollster::block_on(solve(&objective, &slow, &mut |progress: Progress| {
        passes = progress.pass;
        if progress.pass == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }));
    assert!(matches!(gone, Err(crate::Error::Cancelled)));
    assert_eq!(passes, 3);
}
