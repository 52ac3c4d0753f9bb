//! A small engine that passes every check, and faults that each make one check fail.
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

    /// A maker of engines whose values have noise of up to `noise`, different in every pass, and that state this exactness.
    pub fn noisy(noise: f32, exactness: Exactness) -> Self {
        Self { fault: None, noise: Noise::new(noise, exactness) }
    }
}

#[async_trait(?Send)]
impl Maker for MockMaker {
    async fn make(&mut self, equal_models: bool) -> Result<Box<dyn Subject>> {
        Ok(Box::new(engine::Mock::new(pair::MockPair::new(self.fault, self.noise.clone(), equal_models))))
    }
}

/// Noise that is added to the values of each pass, and the exactness that the engine states.
#[derive(Debug, Clone)]
struct Noise {
    size: f32,
    exactness: Exactness,
    /// How many values were drawn.
    count: Cell<u32>,
}

impl Noise {
    fn new(size: f32, exactness: Exactness) -> Self {
        Self { size, exactness, count: Cell::new(0) }
    }

    /// A value between 0 and the noise's size, different at each call.
    fn next(&self) -> f32 {
        let count = self.count.get() + 1;
        self.count.set(count);
        self.size * (count.wrapping_mul(2_654_435_769) >> 8) as f32 / (1 << 24) as f32
    }
}
