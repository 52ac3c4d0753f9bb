//! Do the taps see the model? Asked once, at start-up: a hook that never fires is an error, not a no-op.
use std::sync::Arc;

use candle_core::{DType, Tensor};
use mistralrs_core::Pipeline;
use mistralrs_core::forward_hook::probe;
use replay_core::{Activations, Error, Result, Role};

use super::head::test_lens;
use crate::runtime::lens::EngineLens;
use crate::runtime::tap::CaptureTap;

/// A short text prompt; these ids exist in every vocabulary.
const TOKENS: [u32; 6] = [0, 1, 2, 3, 2, 1];

/// Runs a few tokens through the model and checks that there is one tap per layer and one after the last, that residuals have the
/// model's width, that a pass stopped early leaves no trace, and that the lens is right after the last layer.
pub(crate) fn self_test(
    pipeline: &mut dyn Pipeline,
    lens: &EngineLens,
    layers: usize,
    hidden: usize,
    role: Role,
) -> Result<()> {
    let mut pass = |layers: &[usize], through: bool| -> Result<(Activations, Option<Tensor>)> {
        let tap = CaptureTap::new(layers, TOKENS.len());
        let tap = Arc::new(if through { tap.through() } else { tap });
        let ran = probe(pipeline, TOKENS.to_vec(), Vec::new(), tap.clone()).map(|(_, logits)| logits);
        // Taps that are missing explain an error better than the error does, and the other way round.
        match (tap.finish(role), ran) {
            (Ok(activations), Ok(logits)) => Ok((activations, logits)),
            (Err(missing), Ok(_)) => Err(missing),
            (_, Err(e)) => Err(Error::engine(format!("the {role} model fails on a short text prompt: {e}"))),
        }
    };
    let all: Vec<usize> = (0..=layers).collect();
    let (full, logits) = pass(&all, true)?;
    pass(&[0], false)?;
    let (again, _) = pass(&all, false)?;
    for &layer in &all {
        let (first, second) = (full.residual(layer)?, again.residual(layer)?);
        if first.dim(1)? != hidden {
            return Err(Error::engine(format!(
                "residual[{layer}] of the {role} model has width {}, its configuration says {hidden}",
                first.dim(1)?
            )));
        }
        if values(first)? != values(second)? {
            return Err(Error::engine(format!("residual[{layer}] of the {role} model changes from pass to pass")));
        }
    }
    test_lens(lens, &full, layers, logits, role)
}

fn values(tensor: &Tensor) -> candle_core::Result<Vec<f32>> {
    tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
}
