//! Time measurement of the steps.
use std::time::Instant;

/// A stopwatch that measures one step after another.
pub(in crate::replay) struct Clock(Instant);

impl Clock {
    pub(in crate::replay) fn start() -> Self {
        Self(Instant::now())
    }

    /// Milliseconds since the start or the last call.
    pub(in crate::replay) fn lap(&mut self) -> f64 {
        let elapsed = self.0.elapsed().as_secs_f64() * 1e3;
        self.0 = Instant::now();
        elapsed
    }
}
