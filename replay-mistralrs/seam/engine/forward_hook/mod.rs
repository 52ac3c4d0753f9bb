//! Observe and edit the residual stream of a model's prompt forward.
//!
//! Inert unless a hook is attached: one thread-local read per layer, one lock read per prompt step.
//!
//! * [`tap`]: the observation point in front of every decoder layer;
//! * [`attach`]: which pipeline has which hook, and the process-wide observer of engine starts;
//! * [`prompt`]: what a hook sees of the sequences that are about to be prefilled, and what it may do;
//! * [`pass`]: side passes, which leave no trace in sequences or caches;
//! * [`prefix`]: a prompt whose forward begins after a prefix of known keys and values;
//! * [`pages`]: the same where they are kept in pages;
//! * [`encodings`]: vision-tower outputs that the passes of one prompt share;
//! * [`model`]: weights, vocabulary and configuration of a loaded model, and a model loaded with fewer layers;
//! * [`weights`]: tensors that two models hold once where they are equal.
mod attach;
mod encodings;
mod model;
mod pages;
mod pass;
mod prefix;
mod prompt;
mod tap;
mod weights;

pub use attach::{attach, detach, on_engine_start, Observer};
pub use model::{with_config_edit, ModelWeights};
pub use pass::{probe, probe_later, Later};
pub use prefix::{Answered, KeysValues};
pub use prompt::{MediaSpan, PromptCall, PromptHook, PromptRow, Request};
pub use tap::{Flow, LayerTap, Site};
pub use weights::WeightPool;

pub(crate) use attach::engine_start;
pub(crate) use encodings::{share_encoding, shared_encoding};
pub(crate) use model::edited_config;
pub(crate) use pages::donated;
pub(crate) use pass::{forward, prepare};
pub(crate) use prefix::{answered, before_prompt, entering, later_features, later_logits, later_offsets, later_positions, later_queries};
// Without PagedAttention nobody calls these.
#[allow(unused_imports)]
pub(crate) use {pages::whole_keys_values, prefix::whole_positions};
pub(crate) use tap::{in_side_pass, tap};
pub(crate) use weights::pooled;
