//! Step 2: which rows of which policy layer are replayed.
//!
//! For policy layer `k` the ranked quantity is `H_base[k+1]`, the logit-lens entropy of the base model at the output of layer `k`.
mod order;
mod rule;

use candle_core::Tensor;
use serde::Serialize;

use crate::config::{Keep, Rank};
use crate::lens::StreamedLens;
use crate::{Activations, EntropySpread, Error, Result};

/// The residual that policy layer `layer` ranks: its output, which enters the next layer.
pub fn ranked_residual(layer: usize) -> usize {
    layer + 1
}

/// The rows selected at one policy layer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerSelection {
    /// The policy layer.
    pub layer: usize,
    /// Positions of the selected rows, ascending.
    pub rows: Vec<usize>,
    /// Candidates with a finite entropy.
    pub ranked: usize,
    /// Candidates that were left out because their entropy is not finite.
    pub not_finite: usize,
    /// Of the ranked candidates' base entropies; `None` if there are none.
    pub entropy: Option<EntropySpread>,
}

/// The rows selected at each policy layer, in layer order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Selection {
    /// One entry per policy layer.
    pub layers: Vec<LayerSelection>,
}

impl Selection {
    /// No row at all.
    pub fn is_empty(&self) -> bool {
        self.layers.iter().all(|layer| layer.rows.is_empty())
    }

    /// The mask of each policy layer over all rows of the prompt.
    ///
    /// # Shapes
    /// `[policy layers, rows]`, 1 where selected.
    ///
    /// # Errors
    /// [`Error::Size`] if a selected row is not one of them.
    pub fn mask(&self, rows: usize) -> Result<Tensor> {
        let mut mask = vec![0u8; self.layers.len() * rows];
        for (index, layer) in self.layers.iter().enumerate() {
            for &row in &layer.rows {
                if row >= rows {
                    return Err(Error::size("selected row", format!("below {rows}"), row));
                }
                mask[index * rows + row] = 1;
            }
        }
        Ok(Tensor::from_vec(mask, (self.layers.len(), rows), &candle_core::Device::Cpu)?)
    }
}

/// One model's captured activations and the lens to read them with.
#[derive(Debug, Clone, Copy)]
pub struct Lensed<'a> {
    /// Residuals of the policy layers' outputs.
    pub activations: &'a Activations,
    /// The same model's lens.
    pub lens: StreamedLens<'a>,
}

/// What to rank.
#[derive(Debug, Clone, Copy)]
pub struct RankRequest<'a> {
    /// Policy layers, ascending.
    pub layers: &'a [usize],
    /// The candidate rows, ascending, as the activations count them.
    pub candidates: &'a [usize],
    /// The position in the prompt of the activations' first row.
    pub first: usize,
    /// The rule.
    pub rank: &'a Rank,
}

/// Ranks every policy layer. The RLVR lens reads only the rows that the rule has already selected, since `base_below_rlvr` can
/// only take rows away.
///
/// # Errors
/// If a residual was not captured, or the engine's lens fails.
pub fn rank(request: &RankRequest<'_>, base: Lensed<'_>, rlvr: Option<Lensed<'_>>) -> Result<Selection> {
    let mut layers = Vec::with_capacity(request.layers.len());
    for (index, &layer) in request.layers.iter().enumerate() {
        let ranked = ranked_residual(layer);
        let entropy = base.lens.entropy(base.activations.residual(ranked)?, request.candidates)?;
        let finite: Vec<usize> = (0..entropy.len()).filter(|&i| entropy[i].is_finite()).collect();
        let values: Vec<f32> = finite.iter().map(|&i| entropy[i]).collect();
        let mut selected = rule::select(request.rank, index, &values);
        if let (true, Some(rlvr)) = (request.rank.base_below_rlvr, rlvr) {
            let rows: Vec<usize> = selected.iter().map(|&i| request.candidates[finite[i]]).collect();
            let theirs = rlvr.lens.entropy(rlvr.activations.residual(ranked)?, &rows)?;
            let mut theirs = theirs.into_iter();
            selected.retain(|&i| theirs.next().is_some_and(|theirs| values[i] < theirs));
        }
        if request.rank.keep == Keep::Random {
            let candidates: Vec<usize> = finite.iter().map(|&i| request.first + request.candidates[i]).collect();
            selected = rule::random(request.rank.seed, layer, &candidates, selected.len());
        }
        layers.push(LayerSelection {
            layer,
            rows: selected.into_iter().map(|i| request.candidates[finite[i]]).collect(),
            ranked: values.len(),
            not_finite: entropy.len() - values.len(),
            entropy: EntropySpread::of(&values),
        });
    }
    Ok(Selection { layers })
}

#[cfg(test)]
mod tests;
