//! Whether two answers mean the same, as a marker would see it: fractions, roots, units, sets, tuples and intervals, however they are
//! written. What cannot be read as such is compared as text.
mod clean;
mod evaluate;
mod form;
mod split;
mod unit;

use super::canonical::canonical;
use form::Form;

/// Longer answers are sentences, not formulas.
const MAX_LENGTH: usize = 400;

/// Whether an answer means the same as the right one.
pub(super) fn same(said: &str, gold: &str) -> bool {
    if canonical(said) == canonical(gold) {
        return true;
    }
    if said.len().max(gold.len()) > MAX_LENGTH {
        return false;
    }
    let (said, gold) = (clean::cleaned(said), clean::cleaned(gold));
    match (said.is_empty(), Form::read(&said), Form::read(&gold)) {
        (false, Some(said), Some(gold)) => said.means(&gold),
        _ => false,
    }
}
