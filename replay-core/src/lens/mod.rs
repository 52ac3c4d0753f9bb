//! The logit lens: the prediction of a model from the residual stream between two decoder layers.
//!
//! `softmax(head(norm(residual)))` with the model's own final norm and head (paper, section 3; published code, the entropy pass of the
//! base model). The logits of all rows at once would be the largest tensor of a request, so they are computed in blocks of rows.
mod compare;
mod entropy;
mod exp;
mod kl;
mod model;
mod soft_cap;
mod streamed;
mod top;
mod values;

pub use compare::RowComparison;
pub(crate) use exp::exp;
pub use model::{LensRows, LogitLens};
pub use soft_cap::soft_cap;
pub use streamed::{StreamedLens, entropies};

#[cfg(test)]
mod tests;
