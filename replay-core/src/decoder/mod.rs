//! The first decoder layers of a transformer, with gradients with respect to the residual stream.
//!
//! The backward of each operation is written by hand: no weight gradient is computed, no graph is kept, and an operation without a backward
//! cannot be used (tensor libraries have fused operations that silently drop the gradient). Each file is one operation, its forward and its
//! vector-Jacobian product; `tests.rs` checks each against finite differences.
//!
//! From an adapter's weights ([`DecoderWeights`]) a [`DecoderSpan`] is made, which implements
//! [`Differentiable`](crate::learned::Differentiable). All arithmetic is f32.
mod attention;
mod frequencies;
mod kernel;
mod layer;
mod linear;
mod mlp;
mod rotary;
mod span;
mod weights;

pub use frequencies::{RotaryScaling, frequencies};
pub use linear::Linear;
pub use rotary::{Rotary, Sections};
pub use span::{DecoderSpan, SpanInput};
pub use weights::{DecoderShape, DecoderWeights, LayerWeights};

#[cfg(test)]
pub(crate) mod tests;
