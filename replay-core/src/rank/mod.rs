//! Step 2: the ranking, which selects the rows of each policy layer that are replayed.
//!
//! For policy layer `k` the ranked quantity is `H_base[k+1]`, the logit-lens entropy of the base model at the output of layer `k`. The
//! engine computes entropies ([`ReplayBackend::entropies`](crate::ReplayBackend::entropies)), [`select`] ranks them.
mod drift;
mod entropies;
mod random;
mod residual;
mod selection;
mod spread;

pub(crate) use drift::{drift, reselect};
pub use entropies::LayerEntropies;
pub(crate) use random::seed_of;
pub use residual::ranked_residual;
pub(crate) use selection::mask;
pub use selection::{LayerSelection, Selection};
pub use spread::EntropySpread;

use crate::config::{Below, Candidates, Keep, Rank, Rule};
use crate::error::{Error, Mismatch, Result};
use crate::role::Role;
use crate::rows::RowSet;

/// Selects rows by their entropies.
///
/// `base` has an entry for each policy layer, in layer order, with the base's entropies of all candidates. `rlvr` is needed with
/// `base_below_rlvr` only: the RLVR model's entropies, at least of the rows that [`selected_by_rule`] returns.
///
/// # Errors
/// [`Error::Settings`] if the rule has thresholds for another number of layers; [`Error::NotCaptured`] or [`Error::RowNotCaptured`] if an
/// RLVR entropy is missing.
pub fn select(rank: &Rank, base: &[LayerEntropies], rlvr: Option<&[LayerEntropies]>) -> Result<Selection> {
    check_thresholds(rank, base.len())?;
    let layers = base.iter().enumerate().map(|(index, entropies)| {
        let (finite, values) = entropies.finite();
        let mut selected = by_rule(rank, index, &values);
        if rank.base_below_rlvr {
            let rlvr = rlvr.and_then(|rlvr| rlvr.iter().find(|rlvr| rlvr.layer() == entropies.layer()));
            let rlvr = rlvr
                .ok_or(Error::NotCaptured { role: Role::Rlvr, layer: ranked_residual(entropies.layer()) })?
                .of_rows(&finite.subset(&selected), Role::Rlvr)?;
            let mut rlvr = rlvr.into_iter();
            selected.retain(|&i| rlvr.next().is_some_and(|rlvr| values[i] < rlvr));
        }
        if rank.keep == Keep::Random {
            selected = random::select(rank.seed, finite.as_slice(), selected.len());
        }
        Ok(LayerSelection {
            layer: entropies.layer(),
            rows: finite.subset(&selected),
            ranked: values.len(),
            not_finite: entropies.rows().len() - values.len(),
            entropy: EntropySpread::of(&values),
        })
    });
    Ok(Selection { layers: layers.collect::<Result<_>>()? })
}

/// The rows of each policy layer that the rule alone selects. `base_below_rlvr` needs the RLVR model's entropies of these rows only, since
/// it can only remove rows.
///
/// # Errors
/// [`Error::Settings`] if the rule has thresholds for another number of layers.
pub fn selected_by_rule(rank: &Rank, base: &[LayerEntropies]) -> Result<Vec<RowSet>> {
    check_thresholds(rank, base.len())?;
    let rows = base.iter().enumerate().map(|(index, entropies)| {
        let (finite, values) = entropies.finite();
        finite.subset(&by_rule(rank, index, &values))
    });
    Ok(rows.collect())
}

/// Indices of the values that the rule selects, ascending. `index` is the position of their layer in the list of policy layers.
fn by_rule(rank: &Rank, index: usize, values: &[f32]) -> Vec<usize> {
    rank.rule.select(&Candidates::new(values, index, rank.keep == Keep::High))
}

/// Checks that a rule with several thresholds has one for each policy layer.
///
/// # Errors
/// [`Error::Settings`] if it has more or fewer.
pub(crate) fn check_thresholds(rank: &Rank, layers: usize) -> Result<()> {
    match &rank.rule {
        Rule::Below(Below::PerLayer(thresholds)) if thresholds.len() != layers => Err(Error::Settings(Mismatch::new(
            "rank.below",
            format!("a threshold for each of {layers} policy layers"),
            format!("{} thresholds", thresholds.len()),
            "give one threshold per layer, or a single one for all",
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
