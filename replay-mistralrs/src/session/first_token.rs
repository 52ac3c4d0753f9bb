//! The first logits of a request and the time to first token.
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use candle_core::{DType, Device, Tensor};

/// Records when the first logits of a request are computed, and the logits if asked for.
pub(super) struct FirstToken {
    keeps_logits: bool,
    started: Instant,
    recorded: Mutex<Option<(Instant, Option<Tensor>)>>,
}

impl FirstToken {
    /// Starts the clock.
    pub(super) fn new(keeps_logits: bool) -> Self {
        Self { keeps_logits, started: Instant::now(), recorded: Mutex::new(None) }
    }

    /// Records the logits if they are the first of the request.
    pub(super) fn record(&self, logits: &Tensor) {
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        if recorded.is_none() {
            *recorded = Some((Instant::now(), self.keeps_logits.then(|| logits.clone())));
        }
    }

    /// Milliseconds from the start to the first logits (0 before they are recorded), and from the start to now.
    pub(super) fn milliseconds(&self) -> (f64, f64) {
        let recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        let first = recorded.as_ref().map_or(0.0, |(at, _)| at.duration_since(self.started).as_secs_f64() * 1e3);
        (first, self.started.elapsed().as_secs_f64() * 1e3)
    }

    /// The log-probabilities of the first token (natural logarithm), `[vocabulary]`; empty if the logits were not kept.
    pub(super) fn log_probs(&self) -> Vec<f32> {
        let recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        let logits = recorded.as_ref().and_then(|(_, logits)| logits.as_ref());
        logits.and_then(|logits| log_softmax(logits).ok()).unwrap_or_default()
    }
}

fn log_softmax(logits: &Tensor) -> candle_core::Result<Vec<f32>> {
    let logits = logits.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
    let max = logits.max(0)?;
    let shifted = logits.broadcast_sub(&max)?;
    shifted.broadcast_sub(&shifted.exp()?.sum_all()?.log()?)?.to_dtype(DType::F32)?.to_vec1()
}
