use super::*;
use crate::config::{Below, Keep, Rule};

/// Entropies of two logits `[0, x]`, which fall with `x >= 0`, of policy layer 0 at rows 0, 1, ..
fn entropies(values: &[f32]) -> Vec<LayerEntropies> {
    let entropy = |x: &f32| {
        let p = 1.0 / (1.0 + (-x).exp());
        if p == 1.0 { x * 0.0 } else { -(p * p.ln() + (1.0 - p) * (1.0 - p).ln()) }
    };
    vec![LayerEntropies::new(0, RowSet::all(values.len()), values.iter().map(entropy).collect()).unwrap()]
}

fn rank(rule: Rule, keep: Keep, base_below_rlvr: bool) -> Rank {
    Rank { rule, keep, base_below_rlvr, seed: 7 }
}

/// Rows selected at policy layer 0 among all rows; the row with the largest value has the lowest entropy.
fn selected(rule: Rule, keep: Keep, base: &[f32], rlvr: Option<&[f32]>) -> LayerSelection {
    let rank = rank(rule, keep, rlvr.is_some());
    select(&rank, &entropies(base), rlvr.map(entropies).as_deref()).unwrap().layers.remove(0)
}

fn rows(selection: &LayerSelection) -> &[usize] {
    selection.rows.as_slice()
}

const BASE: [f32; 5] = [1.0, 4.0, 2.0, 0.0, 3.0];

#[test]
fn top_takes_the_lowest_entropies_and_high_the_highest() {
    assert_eq!(rows(&selected(Rule::Top(2), Keep::Low, &BASE, None)), [1, 4]);
    assert_eq!(rows(&selected(Rule::Top(2), Keep::High, &BASE, None)), [0, 3]);
    assert_eq!(rows(&selected(Rule::Top(99), Keep::Low, &BASE, None)), [0, 1, 2, 3, 4]);
}

#[test]
fn quantile_takes_a_share_of_the_candidates() {
    assert_eq!(rows(&selected(Rule::Quantile(0.6), Keep::Low, &BASE, None)), [1, 2, 4]);
    assert_eq!(rows(&selected(Rule::Quantile(0.2), Keep::High, &BASE, None)), [3]);
    assert!(selected(Rule::Quantile(0.0), Keep::Low, &BASE, None).rows.is_empty());
}

#[test]
fn random_takes_as_many_rows_as_low_would_and_always_the_same_ones() {
    let low = selected(Rule::FractionOfMax(0.6), Keep::Low, &BASE, None).rows;
    let random = selected(Rule::FractionOfMax(0.6), Keep::Random, &BASE, None).rows;
    assert_eq!(random.len(), low.len());
    assert!(random != low, "{random:?}");
    assert_eq!(selected(Rule::FractionOfMax(0.6), Keep::Random, &BASE, None).rows, random);
    let drawn = |seed, count| random::select(seed, &[0, 1, 2, 3, 4, 5, 6, 7], count);
    assert!((0..50).any(|seed| drawn(seed, 3) != drawn(7, 3)));
    // Fewer rows are a part of more, so that the layers of a prompt have the same rows.
    assert!((1..8).all(|count| drawn(7, count).iter().all(|row| drawn(7, count + 1).contains(row))));
}

#[test]
fn random_rows_depend_on_the_images_and_on_nothing_else() {
    let prompt = |text: u32, pixels: &[u8]| {
        let grid = crate::Grid { frames: 1, rows: 1, columns: 2 };
        let image = crate::Image::with_grid(grid, crate::ImageContent::of(1, 1, "", pixels));
        crate::PromptMap::new(0, &[text, 9, 9], |token| token == 9, vec![image]).unwrap()
    };
    let seed = |seed, text, pixels| seed_of(seed, &prompt(text, pixels));
    assert_eq!(seed(3, 1, &[5]), seed(3, 2, &[5]));
    assert!(seed(3, 1, &[5]) != seed(3, 1, &[6]) && seed(3, 1, &[5]) != seed(4, 1, &[5]));
}

#[test]
fn ties_are_broken_by_row_order_at_both_ends() {
    let equal = [1.0; 4];
    assert_eq!(rows(&selected(Rule::Top(2), Keep::Low, &equal, None)), [0, 1]);
    assert_eq!(rows(&selected(Rule::Top(2), Keep::High, &equal, None)), [0, 1]);
}

#[test]
fn fraction_of_max_is_relative_to_the_largest_entropy_and_not_strict() {
    // Entropies: ln 2 for x = 0, about 0.58, 0.09, 0.37, 0.19 for the others.
    assert_eq!(rows(&selected(Rule::FractionOfMax(1.0), Keep::Low, &BASE, None)), [0, 1, 2, 3, 4]);
    assert_eq!(rows(&selected(Rule::FractionOfMax(0.6), Keep::Low, &BASE, None)), [1, 2, 4]);
    assert_eq!(rows(&selected(Rule::FractionOfMax(0.6), Keep::High, &BASE, None)), [0, 3]);
    assert_eq!(rows(&selected(Rule::FractionOfMax(1.0), Keep::High, &BASE, None)), [3]);
}

#[test]
fn below_is_absolute_strict_and_per_layer() {
    let below = |nats| Rule::Below(Below::PerLayer(vec![nats]));
    assert_eq!(rows(&selected(below(0.3), Keep::Low, &BASE, None)), [1, 4]);
    assert_eq!(rows(&selected(Rule::Below(Below::All(0.3)), Keep::High, &BASE, None)), [0, 2, 3]);
    let ln2 = selected(Rule::Top(1), Keep::High, &BASE, None).entropy.unwrap().max;
    assert!(!selected(below(f64::from(ln2)), Keep::Low, &BASE, None).rows.contains(3));
}

#[test]
fn base_below_rlvr_keeps_only_rows_where_the_base_is_more_certain() {
    let rlvr = [2.0, 1.0, 2.0, 0.0, 0.5];
    assert_eq!(rows(&selected(Rule::FractionOfMax(1.0), Keep::Low, &BASE, Some(&rlvr))), [1, 4]);
    assert!(selected(Rule::Top(5), Keep::Low, &BASE, Some(&BASE)).rows.is_empty());
}

#[test]
fn rows_that_are_not_finite_are_excluded_and_counted() {
    let got = selected(Rule::Top(2), Keep::Low, &[1.0, f32::NAN, 2.0, f32::INFINITY, 0.0], None);
    assert_eq!((rows(&got), got.ranked, got.not_finite), (&[0, 2][..], 3, 2));
    let spread = got.entropy.unwrap();
    assert!(spread.min < spread.mean && spread.mean < spread.max && (spread.max - 2f32.ln()).abs() < 1e-6);
    assert_eq!(selected(Rule::Top(2), Keep::Low, &[f32::NAN], None).entropy, None);
}

#[test]
fn the_mask_has_a_row_per_policy_layer() {
    let layer = |layer, rows| {
        let rows = RowSet::new(rows).unwrap();
        LayerSelection { layer, rows, ranked: 3, not_finite: 0, entropy: None }
    };
    let selection = Selection { layers: vec![layer(0, vec![]), layer(5, vec![0, 2])] };
    assert_eq!(selection.mask(3).unwrap().to_vec2::<u8>().unwrap(), [[0, 0, 0], [1, 0, 1]]);
    assert_eq!(selection.mask(2).unwrap_err().to_string(), "selected row: expected below 2, got 2");
}

/// Rows 4, 6 and 9 of a prompt; the third was not asked of the RLVR model.
#[test]
fn entropies_of_the_rlvr_model_are_found_by_row_and_missing_ones_are_refused() {
    let rank = rank(Rule::FractionOfMax(1.0), Keep::Low, true);
    let of = |rows: &[usize], values: &[f32]| {
        vec![LayerEntropies::new(2, RowSet::new(rows.to_vec()).unwrap(), values.to_vec()).unwrap()]
    };
    let base = of(&[4, 6, 9], &[0.3, 0.2, 0.1]);
    assert_eq!(selected_by_rule(&rank, &base).unwrap()[0].as_slice(), [4, 6, 9]);
    let got = select(&rank, &base, Some(&of(&[1, 4, 6, 9], &[9.0, 0.2, 0.3, 0.4]))).unwrap();
    assert_eq!(rows(&got.layers[0]), [6, 9]);
    let missing = select(&rank, &base, Some(&of(&[4, 6], &[1.0, 1.0]))).unwrap_err();
    assert!(matches!(missing, Error::RowNotCaptured { role: Role::Rlvr, row: 9, captured: 2 }), "{missing}");
    for none in [None, Some(&[][..])] {
        let missing = select(&rank, &base, none).unwrap_err();
        assert!(matches!(missing, Error::NotCaptured { role: Role::Rlvr, layer: 3 }), "{missing}");
    }
}

#[test]
fn entropies_and_thresholds_that_do_not_fit_are_refused() {
    let error = LayerEntropies::new(3, RowSet::all(2), vec![0.0]).unwrap_err().to_string();
    assert_eq!(error, "entropies of policy layer 3: expected 2, got 1");
    let rank = rank(Rule::Below(Below::PerLayer(vec![1.0, 2.0])), Keep::Low, false);
    for error in [select(&rank, &entropies(&BASE), None).err(), selected_by_rule(&rank, &entropies(&BASE)).err()] {
        let error = error.unwrap().to_string();
        assert!(error.starts_with("rank.below: expected a threshold for each of 1 policy layers, got 2"), "{error}");
    }
}
