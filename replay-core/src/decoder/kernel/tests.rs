//! Each kernel for a CPU against the tensor operations of other devices, on CPU tensors.
use candle_core::{Device, IndexOp, Tensor};

use super::*;
use crate::testing::{assert_same_tensors, edge_cases, wide};

/// Pairs of matrices of one shape: longer than a chunk, large, and with rows that are not finite.
fn pairs() -> Vec<(Tensor, Tensor)> {
    let rows = edge_cases().dim(0).unwrap();
    vec![
        (wide(5, 1000, 3.0), wide(6, 1000, 2.0).narrow(0, 1, 5).unwrap().force_contiguous().unwrap()),
        (wide(2, 33, 90.0), wide(2, 33, 1.0)),
        (edge_cases(), wide(rows, 6, 1.0)),
    ]
}

#[test]
fn tensors_and_values_give_the_same_gated_projections() {
    for (gate, up) in pairs() {
        assert_same_tensors(&gated::by_tensors(&gate, &up).unwrap(), &gated(&gate, &up).unwrap());
        let gradient = wide(gate.dim(0).unwrap(), gate.dim(1).unwrap(), 0.5);
        let tensors = gated::backward_by_tensors(&gate, &up, &gradient).unwrap();
        let values = gated_backward(&gate, &up, &gradient).unwrap();
        assert_same_tensors(&tensors.0, &values.0);
        assert_same_tensors(&tensors.1, &values.1);
    }
}

#[test]
fn tensors_and_values_give_the_same_norms() {
    for (x, gradient) in pairs() {
        let weight = wide(1, x.dim(1).unwrap(), 1.0).flatten_all().unwrap();
        assert_same_tensors(&norm::by_tensors(&x, &weight, 1e-6).unwrap(), &rms_norm(&x, &weight, 1e-6).unwrap());
        let tensors = norm::backward_by_tensors(&x, &weight, 1e-6, &gradient).unwrap();
        assert_same_tensors(&tensors, &rms_norm_backward(&x, &weight, 1e-6, &gradient).unwrap());
    }
}

#[test]
fn tensors_and_values_give_the_same_rotations() {
    let angles = wide(7, 3, 3.0);
    let (cos, sin) = (angles.cos().unwrap(), angles.sin().unwrap());
    let special = edge_cases().narrow(0, 0, 7).unwrap().unsqueeze(0).unwrap();
    for x in [wide(28, 6, 2.0).reshape((4, 7, 6)).unwrap(), special] {
        for back in [false, true] {
            let tensors = rotary::by_tensors(&x, &cos, sin.clone(), back).unwrap();
            assert_same_tensors(&tensors, &rotate(&x, &cos, &sin, back).unwrap());
        }
    }
}

/// Two groups of queries that see more and more keys; scores that are large, excluded or not finite.
#[test]
fn tensors_and_values_give_the_same_attention_probabilities() {
    let special = edge_cases();
    let rows = special.dim(0).unwrap();
    let special = Tensor::cat(&[&special, &special], 0).unwrap().unsqueeze(0).unwrap();
    let seen_in_part: Vec<usize> = (0..rows).map(|row| 3 + row % 4).collect();
    for (scores, visible) in [
        (wide(24, 300, 5.0).reshape((2, 12, 300)).unwrap(), vec![1, 2, 90, 150, 299, 300]),
        (wide(6, 40, 1e4).reshape((1, 6, 40)).unwrap(), vec![10, 20, 40]),
        (special, seen_in_part),
    ] {
        let causal = Causal { visible: &visible };
        let tensors = softmax::by_tensors(&scores, 0.3, causal).unwrap();
        let values = causal_softmax(scores.copy().unwrap(), 0.3, causal).unwrap();
        assert_same_tensors(&tensors, &values);
        let gradient = wide(scores.elem_count(), 1, 1.0).reshape(scores.shape()).unwrap();
        let tensors = softmax::backward_by_tensors(&gradient, &values, 0.3).unwrap();
        assert_same_tensors(&tensors, &softmax_backward(gradient.copy().unwrap(), &values, 0.3).unwrap());
    }
}

#[test]
fn a_row_that_is_not_finite_gives_unseen_keys_no_probability() {
    let scores = Tensor::new(&[[[f32::NAN, 0.0, 7.0], [0.0, 0.0, 7.0]]], &Device::Cpu).unwrap();
    let causal = Causal { visible: &[2, 2] };
    for probabilities in [
        softmax::by_tensors(&scores, 1.0, causal).unwrap(),
        causal_softmax(scores.copy().unwrap(), 1.0, causal).unwrap(),
    ] {
        let rows = probabilities.i(0).unwrap().to_vec2::<f32>().unwrap();
        assert!(rows[0][0].is_nan() && rows[0][2] == 0.0, "{rows:?}");
        assert_eq!(rows[1], [0.5, 0.5, 0.0]);
    }
}
