//! What a model prepared for the whole prompt, cut to the rows after the known prefix.
use std::{borrow::Cow, cell::Cell};

use candle_core::{DType, Error, Result, Tensor};

#[derive(Clone, Copy)]
struct Active {
    skipped: usize,
    positions: usize,
    /// The rows have entered the decoder layers.
    inside: bool,
}

thread_local! {
    static ACTIVE: Cell<Option<Active>> = const { Cell::new(None) };
}

/// Runs `forward`, in which the first `skipped` of all `positions` are cut off.
pub(super) fn with_cut<T>(skipped: usize, positions: usize, forward: impl FnOnce() -> Result<T>) -> Result<T> {
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            ACTIVE.set(None);
        }
    }
    let _reset = Reset;
    ACTIVE.set(Some(Active { skipped, positions, inside: false }));
    let out = forward()?;
    match ACTIVE.get() {
        Some(Active { inside: true, .. }) => Ok(out),
        _ => Err(Error::Msg("the model did not begin after the known prefix".into())),
    }
}

/// What enters a decoder layer, without the rows of the prefix. `[batch, positions, width]`, or `[streams, batch, positions, width]`.
pub(crate) fn entering(hidden: Tensor) -> Result<Tensor> {
    let Some(active) = ACTIVE.get() else { return Ok(hidden) };
    let axis = hidden.rank().saturating_sub(2);
    if hidden.rank() < 3 || hidden.dim(axis)? != active.positions {
        return Ok(hidden);
    }
    ACTIVE.set(Some(Active { inside: true, ..active }));
    hidden.narrow(axis, active.skipped, active.positions - active.skipped)?.contiguous()
}

/// A mask over the queries of a prompt, `[.., positions, keys]`.
pub(crate) fn later_queries(mask: Tensor) -> Result<Tensor> {
    let rank = mask.rank();
    match ACTIVE.get() {
        Some(Active { skipped, positions, inside: false }) if rank >= 2 && mask.dim(rank - 2)? == positions => {
            mask.narrow(rank - 2, skipped, positions - skipped)?.contiguous()
        }
        _ => Ok(mask),
    }
}

/// Positions of three dimensions, `[3, batch, positions]`.
pub(crate) fn later_positions(ids: &Tensor) -> Result<Tensor> {
    match ACTIVE.get() {
        Some(Active { skipped, positions, inside: false }) if ids.dims().last() == Some(&positions) => {
            ids.narrow(ids.rank() - 1, skipped, positions - skipped)
        }
        _ => Ok(ids.clone()),
    }
}

fn inside() -> Option<Active> {
    ACTIVE.get().filter(|active| active.inside)
}

/// Positions of the whole prompt, of which a layer sees so many.
#[allow(dead_code)]
pub(crate) fn whole_positions(seen: usize) -> usize {
    inside().map_or(seen, |active| active.positions)
}

/// The position of each sequence's first row, which the input processors take for 0.
pub(crate) fn later_offsets(offsets: &[usize]) -> Cow<'_, [usize]> {
    match inside() {
        Some(Active { skipped, .. }) => offsets.iter().map(|offset| offset + skipped).collect(),
        None => Cow::Borrowed(offsets),
    }
}

/// The rows whose logits are wanted: (first, how many) of each sequence.
pub(crate) fn later_logits(mut rows: Vec<(usize, usize)>) -> Result<Vec<(usize, usize)>> {
    if let Some(Active { skipped, .. }) = inside() {
        for (first, _) in &mut rows {
            let later = first.checked_sub(skipped);
            *first = later.ok_or_else(|| Error::Msg("logits of a row in the known prefix are wanted".into()))?;
        }
    }
    Ok(rows)
}

/// Rows of the mask that stand for positions before this prompt. Those of the prefix do not: the mask is made for the whole prompt.
pub(crate) fn before_prompt(kept: usize) -> usize {
    if ACTIVE.get().is_some() {
        0
    } else {
        kept
    }
}

/// Visual features that are added between layers: which rows, `[batch, positions]`, and what, `[rows, width]`.
pub(crate) fn later_features(rows: &Tensor, features: &Tensor) -> Result<(Tensor, Tensor)> {
    let Some(Active { skipped, positions, .. }) = inside() else { return Ok((rows.clone(), features.clone())) };
    let marks = rows.to_dtype(DType::U32)?.to_vec2::<u32>()?;
    let marked = marks.iter().flat_map(|row| row.iter().enumerate()).filter(|(_, mark)| **mark != 0);
    let later = marked.enumerate().filter(|(_, (position, _))| *position >= skipped).map(|(index, _)| index as u32);
    let later: Vec<u32> = later.collect();
    let rows = rows.narrow(1, skipped, positions - skipped)?.contiguous()?;
    let features = match later.is_empty() {
        true => features.narrow(0, 0, 0)?,
        false => features.index_select(&Tensor::new(later, features.device())?, 0)?,
    };
    Ok((rows, features))
}
