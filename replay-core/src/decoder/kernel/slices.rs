//! How the operations split a tensor's memory.
use candle_core::Layout;

/// Values per parallel task: many enough to hide the cost of splitting, few enough for a core's cache.
pub(super) const CHUNK: usize = 4096;

/// The size of the last axis.
pub(super) fn width(layout: &Layout) -> usize {
    layout.dims().last().copied().unwrap_or(1).max(1)
}
