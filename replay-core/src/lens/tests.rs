use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::{DType, Device, Tensor};
use pollster::block_on;

use super::*;
use crate::rows::RowSet;
use crate::rows::select_rows;
use crate::testing::wide;
use crate::{Activations, Role};

/// The residual is the logits.
struct Identity {
    vocabulary: usize,
    largest_block: AtomicUsize,
}

impl Identity {
    fn new(vocabulary: usize) -> Self {
        Self { vocabulary, largest_block: AtomicUsize::new(0) }
    }
}

impl LogitLens for Identity {
    fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    fn logits(&self, residual: &Tensor) -> candle_core::Result<Tensor> {
        self.largest_block.fetch_max(residual.dim(0)?, Ordering::Relaxed);
        Ok(residual.clone())
    }
}

fn entropies_of(rows: &[&[f32]]) -> Vec<f32> {
    let lens = Identity::new(rows[0].len());
    let flat: Vec<f32> = rows.concat();
    let logits = Tensor::from_vec(flat, (rows.len(), rows[0].len()), &Device::Cpu).unwrap();
    block_on(StreamedLens::new(&lens, 1 << 20).entropy(&logits)).unwrap()
}

#[test]
fn one_hot_is_zero_uniform_is_ln_v_and_large_logits_stay_finite() {
    let mut one_hot = [f32::NEG_INFINITY; 10];
    one_hot[3] = 0.0;
    let mut peaked = [0.0; 10];
    peaked[0] = 1e4;
    let got = entropies_of(&[&one_hot, &[2.5; 10], &peaked, &[-1e4; 10]]);
    assert_eq!(got[0], 0.0);
    assert!((got[1] - 10f32.ln()).abs() < 1e-6);
    assert_eq!(got[2], 0.0);
    assert!((got[3] - 10f32.ln()).abs() < 1e-6);
}

#[test]
fn a_row_that_is_not_finite_is_nan_and_leaves_the_others_alone() {
    let got = entropies_of(&[&[0.0, f32::NAN], &[0.0, 0.0], &[f32::INFINITY, 0.0], &[f32::NEG_INFINITY; 2]]);
    assert!(got[0].is_nan() && got[2].is_nan() && got[3].is_nan());
    assert!((got[1] - 2f32.ln()).abs() < 1e-6);
}

#[test]
fn blocks_never_exceed_the_memory_and_do_not_change_the_values() {
    let (rows, vocabulary) = (37, 500);
    let logits = Tensor::randn(0f32, 3.0, (rows, vocabulary), &Device::Cpu).unwrap();
    let whole = block_on(StreamedLens::new(&Identity::new(vocabulary), u64::MAX).entropy(&logits)).unwrap();
    for memory in [0, 4000, 4000 * 5, 4000 * 36] {
        let lens = Identity::new(vocabulary);
        let streamed = StreamedLens::new(&lens, memory);
        assert_eq!(block_on(streamed.entropy(&logits)).unwrap(), whole);
        let largest = lens.largest_block.load(Ordering::Relaxed) as u64;
        assert!(largest == 1 || largest * 4000 <= memory, "{largest} rows in {memory} bytes");
    }
}

#[test]
fn only_the_rows_asked_for_are_read() {
    let logits = Tensor::new(&[[0f32, 0.0], [f32::NAN, 0.0], [50.0, 0.0]], &Device::Cpu).unwrap();
    let lens = Identity::new(2);
    let mut activations = Activations::new(Role::Base, RowSet::new(vec![4, 7, 9]).unwrap());
    activations.insert(3, logits).unwrap();
    let wanted = |rows: &[usize]| LensRows { residual: 3, rows: RowSet::new(rows.to_vec()).unwrap() };
    let got = block_on(entropies(&lens, 1 << 20, &activations, &[wanted(&[4, 9]), wanted(&[])])).unwrap();
    assert!((got[0][0] - 2f32.ln()).abs() < 1e-6 && got[0][1] < 1e-6 && got[1].is_empty(), "{got:?}");
    assert!(block_on(entropies(&lens, 1 << 20, &activations, &[wanted(&[5])])).is_err());
}

/// A head that mixes all channels, so that another order of sums would show.
struct Head(Tensor);

impl LogitLens for Head {
    fn vocabulary(&self) -> usize {
        self.0.dim(1).unwrap()
    }

    fn logits(&self, residual: &Tensor) -> candle_core::Result<Tensor> {
        residual.matmul(&self.0)
    }
}

/// Block by block from the residual of all rows, as rows were read before a capture named its rows.
#[test]
fn a_capture_of_some_rows_gives_the_bits_of_a_capture_of_all() {
    let (head, whole) = (Head(wide(96, 700, 1.0)), wide(50, 96, 3.0));
    let scattered = RowSet::new((0..50).filter(|row| row % 7 != 2 && row % 5 != 1).collect()).unwrap();
    for rows in [scattered, RowSet::range(9..40), RowSet::all(50), RowSet::range(3..4)] {
        for memory in [0, 5600 * 3, 5600 * 20, u64::MAX] {
            let step = StreamedLens::new(&head, memory).block_rows(true);
            let block = |rows: &[usize]| entropy::rows(&head.logits(&select_rows(&whole, rows)?)?);
            let blocks = rows.as_slice().chunks(step).map(|rows| block(rows).unwrap());
            let expected: Vec<f32> = blocks.flatten().collect();
            for captured in [rows.clone(), RowSet::all(50)] {
                let mut activations = Activations::new(Role::Base, captured);
                activations.insert_from(1, &whole).unwrap();
                let wanted = [LensRows { residual: 1, rows: rows.clone() }];
                let got = block_on(entropies(&head, memory, &activations, &wanted)).unwrap();
                assert_eq!(got, std::slice::from_ref(&expected));
            }
        }
    }
}

#[test]
fn divergence_is_zero_for_equal_rows_and_known_for_two_coins() {
    let lens = Identity::new(2);
    let lens = StreamedLens::new(&lens, 1 << 20);
    let p = Tensor::new(&[[0.25f32.ln(), 0.75f32.ln()], [1.0, 1.0]], &Device::Cpu).unwrap();
    let q = Tensor::new(&[[0f32, 0.0], [9.0, 9.0]], &Device::Cpu).unwrap();
    let got = block_on(lens.divergence(&p, &lens, &q)).unwrap();
    let expected = 0.25 * (0.25f32 / 0.5).ln() + 0.75 * (0.75f32 / 0.5).ln();
    assert!((got[0] - expected).abs() < 1e-6 && got[1].abs() < 1e-6, "{got:?}");
}

#[test]
fn rows_and_vocabularies_that_do_not_pair_are_refused() {
    let (two, three) = (Identity::new(2), Identity::new(3));
    let (two, three) = (StreamedLens::new(&two, 1 << 20), StreamedLens::new(&three, 1 << 20));
    let residual = Tensor::zeros((4, 2), DType::F32, &Device::Cpu).unwrap();
    let fewer = residual.narrow(0, 0, 3).unwrap();
    let wide = Tensor::zeros((4, 3), DType::F32, &Device::Cpu).unwrap();
    for (other, theirs, says) in [
        (&two, &fewer, "rows of the second residual: expected 4, got 3"),
        (&three, &wide, "vocabulary of the second lens: expected 2, got 3"),
    ] {
        assert_eq!(block_on(two.divergence(&residual, other, theirs)).unwrap_err().to_string(), says);
        assert_eq!(block_on(two.compare(&residual, other, theirs)).unwrap_err().to_string(), says);
    }
}

#[test]
fn logits_of_another_size_than_the_lens_says_are_refused() {
    let wide = Tensor::zeros((4, 3), DType::F32, &Device::Cpu).unwrap();
    let error = block_on(StreamedLens::new(&Identity::new(2), 1 << 20).entropy(&wide)).unwrap_err().to_string();
    assert_eq!(error, "logits of a lens: expected [4, 2], got [4, 3]");
}
