use candle_core::{Device, Tensor};

use super::*;
use crate::Role;
use crate::config::{Below, Keep, Rule};
use crate::lens::LogitLens;

/// Two logits, `[0, x]`, of a residual of width 1: entropy falls with `x >= 0`.
struct Coin;

impl LogitLens for Coin {
    fn vocabulary(&self) -> usize {
        2
    }

    fn logits(&self, residual: &Tensor) -> candle_core::Result<Tensor> {
        Tensor::cat(&[residual.zeros_like()?, residual.clone()], 1)
    }
}

fn activations(role: Role, values: &[f32]) -> Activations {
    let mut activations = Activations::new(role, values.len());
    let residual = Tensor::from_slice(values, (values.len(), 1), &Device::Cpu).unwrap();
    activations.insert(1, residual).unwrap();
    activations
}

/// Rows selected at policy layer 0 among all rows; the row with the largest value has the lowest entropy.
fn selected(rule: Rule, keep: Keep, base: &[f32], rlvr: Option<&[f32]>) -> LayerSelection {
    let rank = Rank { rule, keep, base_below_rlvr: rlvr.is_some(), seed: 7 };
    let candidates: Vec<usize> = (0..base.len()).collect();
    let request = RankRequest { layers: &[0], candidates: &candidates, first: 0, rank: &rank };
    let base = activations(Role::Base, base);
    let rlvr = rlvr.map(|values| activations(Role::Rlvr, values));
    let lens = StreamedLens::new(&Coin, 1 << 20);
    let rlvr = rlvr.as_ref().map(|activations| Lensed { activations, lens });
    super::rank(&request, Lensed { activations: &base, lens }, rlvr).unwrap().layers.remove(0)
}

const BASE: [f32; 5] = [1.0, 4.0, 2.0, 0.0, 3.0];

#[test]
fn top_takes_the_lowest_entropies_and_high_the_highest() {
    assert_eq!(selected(Rule::Top(2), Keep::Low, &BASE, None).rows, [1, 4]);
    assert_eq!(selected(Rule::Top(2), Keep::High, &BASE, None).rows, [0, 3]);
    assert_eq!(selected(Rule::Top(99), Keep::Low, &BASE, None).rows, [0, 1, 2, 3, 4]);
}

#[test]
fn quantile_takes_a_share_of_the_candidates() {
    assert_eq!(selected(Rule::Quantile(0.6), Keep::Low, &BASE, None).rows, [1, 2, 4]);
    assert_eq!(selected(Rule::Quantile(0.2), Keep::High, &BASE, None).rows, [3]);
    assert!(selected(Rule::Quantile(0.0), Keep::Low, &BASE, None).rows.is_empty());
}

#[test]
fn random_takes_as_many_rows_as_low_would_and_always_the_same_ones() {
    let low = selected(Rule::FractionOfMax(0.6), Keep::Low, &BASE, None).rows;
    let random = selected(Rule::FractionOfMax(0.6), Keep::Random, &BASE, None).rows;
    assert_eq!(random.len(), low.len());
    assert!(random.is_sorted() && random != low, "{random:?}");
    assert_eq!(selected(Rule::FractionOfMax(0.6), Keep::Random, &BASE, None).rows, random);
    let drawn = |seed| rule::random(seed, 0, &[0, 1, 2, 3, 4, 5, 6, 7], 3);
    assert!((0..50).any(|seed| drawn(seed) != drawn(7)));
}

#[test]
fn ties_are_broken_by_row_order_at_both_ends() {
    let equal = [1.0; 4];
    assert_eq!(selected(Rule::Top(2), Keep::Low, &equal, None).rows, [0, 1]);
    assert_eq!(selected(Rule::Top(2), Keep::High, &equal, None).rows, [0, 1]);
}

#[test]
fn fraction_of_max_is_relative_to_the_largest_entropy_and_not_strict() {
    // Entropies: ln 2 for x = 0, about 0.58, 0.09, 0.37, 0.19 for the others.
    assert_eq!(selected(Rule::FractionOfMax(1.0), Keep::Low, &BASE, None).rows, [0, 1, 2, 3, 4]);
    assert_eq!(selected(Rule::FractionOfMax(0.6), Keep::Low, &BASE, None).rows, [1, 2, 4]);
    assert_eq!(selected(Rule::FractionOfMax(0.6), Keep::High, &BASE, None).rows, [0, 3]);
    assert_eq!(selected(Rule::FractionOfMax(1.0), Keep::High, &BASE, None).rows, [3]);
}

#[test]
fn below_is_absolute_strict_and_per_layer() {
    let below = |nats| Rule::Below(Below::PerLayer(vec![nats]));
    assert_eq!(selected(below(0.3), Keep::Low, &BASE, None).rows, [1, 4]);
    assert_eq!(selected(Rule::Below(Below::All(0.3)), Keep::High, &BASE, None).rows, [0, 2, 3]);
    let ln2 = selected(Rule::Top(1), Keep::High, &BASE, None).entropy.unwrap().max;
    assert!(!selected(below(f64::from(ln2)), Keep::Low, &BASE, None).rows.contains(&3));
}

#[test]
fn base_below_rlvr_keeps_only_rows_where_the_base_is_more_certain() {
    let rlvr = [2.0, 1.0, 2.0, 0.0, 0.5];
    assert_eq!(selected(Rule::FractionOfMax(1.0), Keep::Low, &BASE, Some(&rlvr)).rows, [1, 4]);
    assert!(selected(Rule::Top(5), Keep::Low, &BASE, Some(&BASE)).rows.is_empty());
}

#[test]
fn rows_that_are_not_finite_are_excluded_and_counted() {
    let got = selected(Rule::Top(2), Keep::Low, &[1.0, f32::NAN, 2.0, f32::INFINITY, 0.0], None);
    assert_eq!((got.rows, got.ranked, got.not_finite), (vec![0, 2], 3, 2));
    let spread = got.entropy.unwrap();
    assert!(spread.min < spread.mean && spread.mean < spread.max && (spread.max - 2f32.ln()).abs() < 1e-6);
    assert_eq!(selected(Rule::Top(2), Keep::Low, &[f32::NAN], None).entropy, None);
}

#[test]
fn the_mask_has_a_row_per_policy_layer() {
    let layer = |layer, rows| LayerSelection { layer, rows, ranked: 3, not_finite: 0, entropy: None };
    let selection = Selection { layers: vec![layer(0, vec![]), layer(5, vec![0, 2])] };
    assert_eq!(selection.mask(3).unwrap().to_vec2::<u8>().unwrap(), [[0, 0, 0], [1, 0, 1]]);
    assert_eq!(selection.mask(2).unwrap_err().to_string(), "selected row: expected below 2, got 2");
}
