//! The first decoder layers of a transformer, with gradients with respect to the residual stream.
//!
//! Differentiated by hand, operation by operation: no weight gradient is ever computed, no graph is kept, and an operation without a
//! backward cannot be in the path (tensor libraries have fused ones that silently drop the gradient). Each file is one operation,
//! its forward and its vector-Jacobian product; `tests.rs` checks every one against finite differences.
//!
//! An adapter that hands out a layer's weights ([`DecoderWeights`]) gets [`DecoderSpan`], a
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
