//! The first logits of a request, and when they came.
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use candle_core::{DType, Device, Tensor};

pub(super) struct FirstToken {
    /// Whether the logits are kept, or their time alone.
    keeps: bool,
    started: Instant,
    seen: Mutex<Option<(Instant, Option<Tensor>)>>,
}

impl FirstToken {
    /// Time runs from now.
    pub(super) fn new(keeps: bool) -> Self {
        Self { keeps, started: Instant::now(), seen: Mutex::new(None) }
    }

    pub(super) fn see(&self, logits: &Tensor) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.is_none() {
            *seen = Some((Instant::now(), self.keeps.then(|| logits.clone())));
        }
    }

    /// Milliseconds from the start to the first logits, and to now.
    pub(super) fn milliseconds(&self) -> (f64, f64) {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let first = seen.as_ref().map_or(0.0, |(at, _)| at.duration_since(self.started).as_secs_f64() * 1e3);
        (first, self.started.elapsed().as_secs_f64() * 1e3)
    }

    /// `[vocabulary]`, natural log-probabilities; empty if they were not kept.
    pub(super) fn log_probs(&self) -> Vec<f32> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let logits = seen.as_ref().and_then(|(_, logits)| logits.as_ref());
        logits.and_then(|logits| log_softmax(logits).ok()).unwrap_or_default()
    }
}

fn log_softmax(logits: &Tensor) -> candle_core::Result<Vec<f32>> {
    let logits = logits.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
    let max = logits.max(0)?;
    let shifted = logits.broadcast_sub(&max)?;
    shifted.broadcast_sub(&shifted.exp()?.sum_all()?.log()?)?.to_dtype(DType::F32)?.to_vec1()
}
