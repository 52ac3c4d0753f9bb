//! Which residual is ranked.

/// The index of the residual that policy layer `layer` ranks: its output.
pub fn ranked_residual(layer: usize) -> usize {
    layer + 1
}
