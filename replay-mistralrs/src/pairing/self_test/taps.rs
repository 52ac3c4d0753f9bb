//! Tests that the taps see every layer of a model. A hook whose taps never fire is an error, not a no-op.
use std::sync::Arc;

use candle_core::{DType, Tensor};
use mistralrs_core::Pipeline;
use mistralrs_core::forward_hook::probe;
use replay_core::{Activations, Error, Result, Role};

use super::lens::test_lens;
use crate::runtime::capture_tap::CaptureTap;
use crate::runtime::lens::EngineLens;

/// A short text prompt, of ids that exist in every vocabulary.
const TOKENS: [u32; 6] = [0, 1, 2, 3, 2, 1];

/// Runs a short prompt and checks that one tap fires per layer and one after the last, that residuals have the model's width, that a pass that
/// stopped early does not change the next one, and that the lens agrees with the model after the last layer.
///
/// # Errors
/// If one of these does not hold.
pub(crate) fn test_taps(
    pipeline: &mut dyn Pipeline,
    lens: &EngineLens,
    layers: usize,
    hidden: usize,
    role: Role,
) -> Result<()> {
    let mut run_pass = |layers: &[usize], through_all_layers: bool| -> Result<(Activations, Option<Tensor>)> {
        let tap = CaptureTap::for_first_rows(layers, TOKENS.len());
        let tap = Arc::new(if through_all_layers { tap.through_all_layers() } else { tap });
        let logits = probe(pipeline, TOKENS.to_vec(), Vec::new(), tap.clone()).map(|(_, logits)| logits);
        // The error of the pass explains missing taps, so it is reported first.
        match (tap.take_activations(role), logits) {
            (Ok(activations), Ok(logits)) => Ok((activations, logits)),
            (Err(missing), Ok(_)) => Err(missing),
            (_, Err(e)) => Err(Error::engine(format!("the {role} model fails on a short text prompt: {e}"))),
        }
    };
    let all: Vec<usize> = (0..=layers).collect();
    let (full, logits) = run_pass(&all, true)?;
    run_pass(&[0], false)?;
    let (again, _) = run_pass(&all, false)?;
    for &layer in &all {
        let (first, second) = (full.residual(layer)?, again.residual(layer)?);
        if first.dim(1)? != hidden {
            return Err(Error::engine(format!(
                "residual[{layer}] of the {role} model: expected width {hidden} as its config.json says, got {}",
                first.dim(1)?
            )));
        }
        if to_vec(first)? != to_vec(second)? {
            return Err(Error::engine(format!(
                "residual[{layer}] of the {role} model differs between two passes over the same prompt"
            )));
        }
    }
    test_lens(lens, &full, layers, logits, role)
}

fn to_vec(tensor: &Tensor) -> candle_core::Result<Vec<f32>> {
    tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
}
