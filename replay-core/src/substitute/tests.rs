use candle_core::{DType, Device, IndexOp};

use super::*;
use crate::Role;
use crate::rank::LayerSelection;

fn random(rows: usize) -> Tensor {
    Tensor::randn(0f32, 1.0, (rows, 4), &Device::Cpu).unwrap()
}

fn edits(base: &Tensor, rows: Vec<usize>, alignment: Alignment, blend: f64) -> Edits {
    let mut activations = Activations::new(Role::Base, RowSet::all(base.dim(0).unwrap()));
    for layer in 0..4 {
        activations.insert(layer, base.clone()).unwrap();
    }
    let rows = RowSet::new(rows).unwrap();
    let layer = LayerSelection { layer: 2, rows, ranked: 0, not_finite: 0, entropy: None };
    Edits::new(&Selection { layers: vec![layer] }, &activations, alignment, blend).unwrap()
}

fn bits(tensor: &Tensor) -> Vec<Vec<u32>> {
    let rows = tensor.to_vec2::<f32>().unwrap();
    rows.into_iter().map(|row| row.into_iter().map(f32::to_bits).collect()).collect()
}

#[test]
fn selected_rows_are_replaced_and_the_others_left_bit_for_bit() {
    let (base, own) = (random(5), random(5));
    let edits = edits(&base, vec![1, 4], Alignment::Aligned, 1.0);
    let got = bits(&edits.apply(3, &own).unwrap().unwrap());
    let (base, own) = (bits(&base), bits(&own));
    assert_eq!(got, [&own[0], &base[1], &own[2], &own[3], &base[4]].map(Clone::clone));
}

#[test]
fn an_edit_holds_its_own_rows_and_not_the_residual_they_came_from() {
    let base = random(1000);
    let edits = edits(&base, vec![3, 4, 5], Alignment::Aligned, 1.0);
    let values = edits.layer(3).unwrap().values();
    let (storage, layout) = values.storage_and_layout();
    assert_eq!(layout.start_offset(), 0);
    let candle_core::Storage::Cpu(candle_core::CpuStorage::F32(stored)) = &*storage else { panic!("not on a CPU") };
    assert_eq!(stored.len(), 12);
}

#[test]
fn alignment_decides_which_residual_is_edited() {
    let base = random(5);
    let residuals = |alignment| edits(&base, vec![0], alignment, 1.0).residuals().collect::<Vec<_>>();
    assert_eq!(residuals(Alignment::Aligned), [3]);
    assert_eq!(residuals(Alignment::Released), [2]);
    assert!(edits(&base, vec![0], Alignment::Aligned, 1.0).apply(2, &base).unwrap().is_none());
    assert!(edits(&base, vec![], Alignment::Aligned, 1.0).is_empty());
}

#[test]
fn blend_mixes_and_leaves_equal_rows_equal_bit_for_bit() {
    let (base, own) = (random(3), random(3));
    let mixed = edits(&base, vec![2], Alignment::Aligned, 0.25).apply(3, &own).unwrap().unwrap();
    let expected = ((base.i(2).unwrap() * 0.25).unwrap() + (own.i(2).unwrap() * 0.75).unwrap()).unwrap();
    let difference = (mixed.i(2).unwrap() - expected).unwrap().abs().unwrap().max(0).unwrap();
    assert!(difference.to_scalar::<f32>().unwrap() < 1e-6);
    let same = edits(&own, vec![0, 1, 2], Alignment::Aligned, 0.3).apply(3, &own).unwrap().unwrap();
    assert_eq!(bits(&same), bits(&own));
}

#[test]
fn a_delta_is_added_to_its_rows_alone() {
    let (own, delta) = (random(4), random(2));
    let added = |delta: Tensor| Edits::delta(0, RowSet::new(vec![1, 3]).unwrap(), delta).unwrap();
    let got = added(delta.clone()).apply(0, &own).unwrap().unwrap();
    assert_eq!(bits(&got)[0], bits(&own)[0]);
    let sum = (own.i(3).unwrap() + delta.i(1).unwrap()).unwrap();
    assert_eq!(got.i(3).unwrap().to_vec1::<f32>().unwrap(), sum.to_vec1::<f32>().unwrap());
    let nothing = added(delta.zeros_like().unwrap()).apply(0, &own).unwrap().unwrap();
    assert_eq!(bits(&nothing), bits(&own));
}

#[test]
fn rows_replaced_in_both_are_alike_and_a_delta_where_its_values_are() {
    let replaced = |base: &Tensor, rows: &[usize]| edits(base, rows.to_vec(), Alignment::Aligned, 1.0);
    let (base, other) = (random(9), random(9));
    assert_eq!(replaced(&base, &[1, 4]).first_difference(&replaced(&other, &[1, 4])), None);
    assert_eq!(replaced(&base, &[1, 4]).first_difference(&replaced(&base, &[1, 3, 4])), Some(3));
    assert_eq!(replaced(&base, &[1, 4]).first_difference(&replaced(&base, &[1, 4, 8])), Some(8));
    assert_eq!(replaced(&base, &[1, 4]).first_difference(&replaced(&base, &[])), Some(1));
    let mixed = edits(&base, vec![4], Alignment::Aligned, 0.5);
    assert_eq!(replaced(&base, &[1, 4]).first_difference(&mixed), Some(1));

    let delta = random(3);
    let added =
        |delta: &Tensor, rows: &[usize]| Edits::delta(0, RowSet::new(rows.to_vec()).unwrap(), delta.clone()).unwrap();
    assert_eq!(added(&delta, &[2, 5, 7]).first_difference(&added(&delta, &[2, 5, 7])), None);
    assert_eq!(added(&delta, &[2, 5, 7]).first_difference(&added(&delta.copy().unwrap(), &[2, 5, 7])), None);
    let changed = Tensor::cat(&[delta.narrow(0, 0, 1).unwrap(), random(2)], 0).unwrap();
    assert_eq!(added(&delta, &[2, 5, 7]).first_difference(&added(&changed, &[2, 5, 7])), Some(5));
    let longer = Tensor::cat(&[delta.clone(), random(1)], 0).unwrap();
    assert_eq!(added(&delta, &[2, 5, 7]).first_difference(&added(&longer, &[2, 5, 7, 8])), Some(8));
    assert_eq!(added(&delta, &[2, 5, 7]).first_difference(&replaced(&base, &[6])), Some(2));
    assert_eq!(added(&delta, &[2, 5, 7]).first_row(), Some(2));
}

#[test]
fn edits_of_the_later_rows_are_the_same_edits_there() {
    let (base, own) = (random(6), random(6));
    let edits = edits(&base, vec![0, 2, 5], Alignment::Aligned, 1.0);
    for skipped in 0..=6 {
        let later = own.narrow(0, skipped, 6 - skipped).unwrap();
        let got = edits.after(skipped).unwrap().apply(3, &later).unwrap().unwrap_or(later);
        let whole = edits.apply(3, &own).unwrap().unwrap();
        assert_eq!(bits(&got), bits(&whole)[skipped..]);
    }
    assert!(edits.after(6).unwrap().is_empty());
}

#[test]
fn a_generated_row_after_the_prompt_is_never_edited() {
    let (base, longer) = (random(3), random(6));
    let got = edits(&base, vec![2], Alignment::Aligned, 1.0).apply(3, &longer).unwrap().unwrap();
    assert_eq!(bits(&got)[3..], bits(&longer)[3..]);
    assert_eq!(bits(&got)[2], bits(&base)[2]);
}

#[test]
fn half_precision_is_kept_and_wrong_sizes_are_errors() {
    let base = random(3);
    let edits = edits(&base, vec![2], Alignment::Aligned, 1.0);
    let half = random(3).to_dtype(DType::BF16).unwrap();
    assert_eq!(edits.apply(3, &half).unwrap().unwrap().dtype(), DType::BF16);
    let short = edits.apply(3, &random(2)).unwrap_err();
    assert_eq!(short.to_string(), "residual to edit: expected more than 2 rows of width 4, got 2 rows of width 4");
}

#[test]
fn values_that_are_not_one_for_each_row_are_refused() {
    let rows = RowSet::all(3);
    let error = Edits::delta(0, rows.clone(), random(2)).unwrap_err().to_string();
    assert_eq!(error, "values of an edit: expected [3, hidden], got [2, 4]");
    let edit = LayerEdit::new(rows, random(3), Change::Add).unwrap();
    assert_eq!(edit.changed(&random(2)).unwrap_err().to_string(), "rows to edit: expected [3, 4], got [2, 4]");
}

/// The captured rows are a part of the prompt, and the base's residual is read by prompt row all the same.
#[test]
fn rows_are_replaced_by_the_same_rows_of_a_smaller_capture() {
    let (base, own) = (random(6), random(6));
    let selection = |rows: Vec<usize>| {
        let rows = RowSet::new(rows).unwrap();
        Selection { layers: vec![LayerSelection { layer: 2, rows, ranked: 0, not_finite: 0, entropy: None }] }
    };
    let mut captured = Activations::new(Role::Base, RowSet::new(vec![1, 2, 5]).unwrap());
    captured.insert_from(3, &base).unwrap();
    let some = Edits::new(&selection(vec![1, 5]), &captured, Alignment::Aligned, 1.0).unwrap();
    let whole = edits(&base, vec![1, 5], Alignment::Aligned, 1.0);
    let apply = |edits: &Edits| bits(&edits.apply(3, &own).unwrap().unwrap());
    assert_eq!(apply(&some), apply(&whole));
    let missing = Edits::new(&selection(vec![1, 4]), &captured, Alignment::Aligned, 1.0).unwrap_err();
    assert!(missing.to_string().starts_with("row 4 of the prompt was not captured"), "{missing}");
}
