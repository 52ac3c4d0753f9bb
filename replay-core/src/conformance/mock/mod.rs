//! An engine of a few lines that passes every check, and faults of it that each fail one.
mod backend;
mod engine;
mod fault;
mod gradients;
mod model;
mod pair;

use std::cell::Cell;

use async_trait::async_trait;

pub use fault::Fault;

use super::{Maker, Subject};
use crate::{Exactness, Result};

/// Makes mock engines with one fault, or none.
#[derive(Debug)]
pub struct MockMaker {
    fault: Option<Fault>,
    noise: Noise,
}

impl MockMaker {
    /// A maker of engines with this fault.
    pub fn new(fault: Option<Fault>) -> Self {
        Self { fault, noise: Noise::new(0.0, Exactness::Bits) }
    }

    /// A maker of engines whose values are off by up to `noise`, differently in every pass, and that state this exactness.
    pub fn noisy(noise: f32, stated: Exactness) -> Self {
        Self { fault: None, noise: Noise::new(noise, stated) }
    }
}

#[async_trait(?Send)]
impl Maker for MockMaker {
    async fn make(&mut self, twins: bool) -> Result<Box<dyn Subject>> {
        Ok(Box::new(engine::Mock::new(pair::MockPair::new(self.fault, self.noise.clone(), twins))))
    }
}

/// What an engine that does not repeat itself adds to its values.
#[derive(Debug, Clone)]
struct Noise {
    size: f32,
    stated: Exactness,
    drawn: Cell<u32>,
}

impl Noise {
    fn new(size: f32, stated: Exactness) -> Self {
        Self { size, stated, drawn: Cell::new(0) }
    }

    /// Between 0 and the noise's size, different at each call.
    fn next(&self) -> f32 {
        let drawn = self.drawn.get() + 1;
        self.drawn.set(drawn);
        self.size * (drawn.wrapping_mul(2_654_435_769) >> 8) as f32 / (1 << 24) as f32
    }
}
