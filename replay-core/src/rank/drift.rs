//! The drift: how far RL has moved the model's hidden states.
use candle_core::{D, DType, Tensor};

use super::residual::ranked_residual;
use super::selection::Selection;
use crate::Activations;
use crate::error::Result;
use crate::rows::RowSet;

/// The relative distance of two models' hidden states, `|rlvr - base| / |base|`, for each row.
///
/// # Shapes
/// `base`, `rlvr`: `[rows, hidden]`; returns `rows` values, 0 where both are zero.
///
/// # Errors
/// If the shapes differ; those of the tensor library.
pub(crate) fn drift(base: &Tensor, rlvr: &Tensor) -> Result<Vec<f32>> {
    let (base, rlvr) = (base.to_dtype(DType::F32)?, rlvr.to_dtype(DType::F32)?.to_device(base.device())?);
    let length = |tensor: Tensor| tensor.sqr()?.sum(D::Minus1)?.sqrt()?.to_vec1::<f32>();
    let (moved, from) = (length((rlvr - &base)?)?, length(base)?);
    Ok(moved.into_iter().zip(from).map(|(moved, from)| if moved == 0.0 { 0.0 } else { moved / from }).collect())
}

/// `keep = "drifted"`: at each layer as many of the `candidates` as `selection` has, those with the largest drift of the ranked residual. Ties are broken
/// by row order, and rows whose drift is not a number come last.
///
/// # Errors
/// If a residual or a row was not captured; those of the tensor library.
pub(crate) fn reselect(
    selection: &mut Selection,
    candidates: &RowSet,
    base: &Activations,
    rlvr: &Activations,
) -> Result<()> {
    for layer in &mut selection.layers {
        let residual = ranked_residual(layer.layer);
        let drift = drift(&base.select(residual, candidates)?, &rlvr.select(residual, candidates)?)?;
        let size = |i: &usize| if drift[*i].is_nan() { f32::NEG_INFINITY } else { drift[*i] };
        let mut order: Vec<usize> = (0..drift.len()).collect();
        order.sort_by(|a, b| size(b).total_cmp(&size(a)).then(a.cmp(b)));
        order.truncate(layer.rows.len());
        order.sort_unstable();
        layer.rows = candidates.subset(&order);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn drift_is_relative_to_the_base_and_zero_for_equal_rows() {
        let tensor =
            |rows: &[[f32; 2]]| Tensor::from_slice(rows.as_flattened(), (rows.len(), 2), &Device::Cpu).unwrap();
        let base = tensor(&[[3.0, 4.0], [0.0, 0.0], [1.0, 0.0], [0.0, 0.0]]);
        let rlvr = tensor(&[[3.0, 9.0], [0.0, 0.0], [f32::NAN, 0.0], [1.0, 0.0]]);
        let got = drift(&base, &rlvr).unwrap();
        assert_eq!(got[..2], [1.0, 0.0]);
        assert!(got[2].is_nan() && got[3].is_infinite());
        assert!(drift(&base, &tensor(&[[1.0, 1.0]])).is_err());
    }
}
