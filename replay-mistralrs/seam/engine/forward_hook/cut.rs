//! Cuts what the model prepared for the whole prompt to the positions after the known prefix.
//!
//! The engine calls these functions in every forward; outside [`with_cut`] they return their argument unchanged.
use std::{borrow::Cow, cell::Cell};

use candle_core::{DType, Error, Result, Tensor};

#[derive(Clone, Copy)]
struct Cut {
    skipped: usize,
    /// Length of the whole prompt.
    positions: usize,
    /// The residual has entered the decoder layers, and is cut.
    entered: bool,
}

thread_local! {
    static CUT: Cell<Option<Cut>> = const { Cell::new(None) };
}

/// Runs `forward`, which computes only the positions from `skipped` to `positions`.
///
/// # Errors
/// If the forward fails, or never passed a residual of `positions` rows to a decoder layer.
pub(super) fn with_cut<T>(skipped: usize, positions: usize, forward: impl FnOnce() -> Result<T>) -> Result<T> {
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            CUT.set(None);
        }
    }
    let _reset = Reset;
    CUT.set(Some(Cut { skipped, positions, entered: false }));
    let out = forward()?;
    match CUT.get() {
        Some(Cut { entered: true, .. }) => Ok(out),
        _ => Err(Error::Msg("the model did not begin after the known prefix".into())),
    }
}

/// Cuts the residual in front of a decoder layer, `[batch, positions, hidden]` or `[streams, batch, positions, hidden]`, if it still has
/// all positions.
pub(crate) fn entering(hidden: Tensor) -> Result<Tensor> {
    let Some(cut) = CUT.get() else { return Ok(hidden) };
    let axis = hidden.rank().saturating_sub(2);
    if hidden.rank() < 3 || hidden.dim(axis)? != cut.positions {
        return Ok(hidden);
    }
    CUT.set(Some(Cut { entered: true, ..cut }));
    hidden.narrow(axis, cut.skipped, cut.positions - cut.skipped)?.contiguous()
}

/// Cuts an attention mask, `[.., positions, keys]`, to the queries that are computed.
pub(crate) fn later_queries(mask: Tensor) -> Result<Tensor> {
    let rank = mask.rank();
    match CUT.get() {
        Some(Cut { skipped, positions, entered: false }) if rank >= 2 && mask.dim(rank - 2)? == positions => {
            mask.narrow(rank - 2, skipped, positions - skipped)?.contiguous()
        }
        _ => Ok(mask),
    }
}

/// Cuts M-RoPE positions, `[3, batch, positions]`.
pub(crate) fn later_positions(ids: &Tensor) -> Result<Tensor> {
    match CUT.get() {
        Some(Cut { skipped, positions, entered: false }) if ids.dims().last() == Some(&positions) => {
            ids.narrow(ids.rank() - 1, skipped, positions - skipped)
        }
        _ => Ok(ids.clone()),
    }
}

/// The cut, once the decoder layers compute with it.
fn entered() -> Option<Cut> {
    CUT.get().filter(|cut| cut.entered)
}

/// The number of positions that the residual in the decoder layers does not hold.
pub(super) fn skipped() -> usize {
    entered().map_or(0, |cut| cut.skipped)
}

/// The number of keys that a layer attends to, given the number of keys that it computed.
#[allow(dead_code)]
pub(crate) fn whole_positions(computed: usize) -> usize {
    entered().map_or(computed, |cut| cut.positions)
}

/// Adds the prefix to the rotary offset of each sequence, which the input processors set to 0.
pub(crate) fn later_offsets(offsets: &[usize]) -> Cow<'_, [usize]> {
    match entered() {
        Some(Cut { skipped, .. }) => offsets.iter().map(|offset| offset + skipped).collect(),
        None => Cow::Borrowed(offsets),
    }
}

/// Moves the rows whose logits the engine wants, `(first, count)` of each sequence, to where they are after the cut.
pub(crate) fn later_logits(mut rows: Vec<(usize, usize)>) -> Result<Vec<(usize, usize)>> {
    if let Some(Cut { skipped, .. }) = entered() {
        for (first, _) in &mut rows {
            let later = first.checked_sub(skipped);
            *first = later.ok_or_else(|| Error::Msg("logits of a row in the known prefix are wanted".into()))?;
        }
    }
    Ok(rows)
}

/// Number of cached positions that the mask adds in front of the prompt. A known prefix is cached, but the mask already covers it.
pub(crate) fn before_prompt(cached: usize) -> usize {
    if CUT.get().is_some() {
        0
    } else {
        cached
    }
}

/// Cuts visual features that the model adds between layers: the mask of visual rows, `[batch, positions]`, and their features,
/// `[rows, hidden]`.
pub(crate) fn later_features(visual: &Tensor, features: &Tensor) -> Result<(Tensor, Tensor)> {
    let Some(Cut { skipped, positions, .. }) = entered() else { return Ok((visual.clone(), features.clone())) };
    let marks = visual.to_dtype(DType::U32)?.to_vec2::<u32>()?;
    let marked = marks.iter().flat_map(|row| row.iter().enumerate()).filter(|(_, mark)| **mark != 0);
    let later = marked.enumerate().filter(|(_, (position, _))| *position >= skipped).map(|(index, _)| index as u32);
    let later: Vec<u32> = later.collect();
    let visual = visual.narrow(1, skipped, positions - skipped)?.contiguous()?;
    let features = match later.is_empty() {
        true => features.narrow(0, 0, 0)?,
        false => features.index_select(&Tensor::new(later, features.device())?, 0)?,
    };
    Ok((visual, features))
}
