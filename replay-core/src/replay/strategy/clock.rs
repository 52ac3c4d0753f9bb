//! A stopwatch of steps.
use std::time::Instant;

/// A stopwatch of steps.
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    /// Milliseconds since the last lap.
    pub(super) fn lap(&mut self) -> f64 {
        let elapsed = self.0.elapsed().as_secs_f64() * 1e3;
        self.0 = Instant::now();
        elapsed
    }
}
