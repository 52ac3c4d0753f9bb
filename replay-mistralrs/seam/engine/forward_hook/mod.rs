//! Hooks that observe and edit the residual stream of a model's prompt forward.
//!
//! Without a hook the cost is one thread-local read per layer and one lock read per prompt step.
//!
//! Each file imports only files listed above it:
//!
//! * [`names`]: tensors under the names that newer libraries and trainers write;
//! * [`weights`]: one copy in memory of tensors that are equal in two models;
//! * [`checkpoint`]: loading a model from files that are completed and edited on the way;
//! * [`model`]: weights and configuration of a loaded model;
//! * [`encodings`]: encoder outputs that the passes of one prompt step share;
//! * [`keys_values`]: copies of a sequence's keys and values;
//! * [`prompt`]: descriptions of the sequences that are about to be prefilled;
//! * [`isolate`]: sets sequence and cache aside for a side pass;
//! * [`cut`]: cuts what the model prepared for the whole prompt to the positions after a known prefix;
//! * [`pages`]: known prefixes with PagedAttention;
//! * [`prefix`]: a forward that skips a prefix whose keys and values are known;
//! * [`tap`]: the observation point in front of every decoder layer;
//! * [`pass`]: side passes, which change no sequence and no cache;
//! * [`probe`]: passes of a model before its engine starts;
//! * [`call`]: one prompt step, as the hook sees it;
//! * [`answer`]: a sequence whose answer is complete;
//! * [`hook`]: the trait that a hook implements;
//! * [`attach`]: the hook of each pipeline, and the observer of engine starts;
//! * [`step`]: entry points for the engine's steps.
mod answer;
mod attach;
mod call;
mod checkpoint;
mod cut;
mod encodings;
mod hook;
mod isolate;
mod keys_values;
mod model;
mod names;
mod pages;
mod pass;
mod prefix;
mod probe;
mod prompt;
mod step;
mod tap;
mod weights;

pub use answer::Answered;
pub use attach::{attach, detach, on_engine_start, Observer};
pub use call::PromptCall;
pub use checkpoint::{with_checkpoint, Checkpoint};
pub use hook::PromptHook;
pub use keys_values::KeysValues;
pub use model::ModelWeights;
pub use names::plain_name;
pub use probe::{probe, probe_later, Later};
pub use prompt::{MediaSpan, PromptRow, Request};
pub use tap::{Flow, LayerTap, Site};
pub use weights::WeightPool;

pub(crate) use attach::engine_start;
pub(crate) use checkpoint::{edited_config, edited_preprocessor, file, listed};
pub(crate) use cut::{
    before_prompt, entering, later_features, later_logits, later_offsets, later_positions, later_queries,
};
pub(crate) use encodings::{share_encoding, shared_encoding};
pub(crate) use pages::donated;
pub(crate) use step::{answered, forward, prepare};
// Builds without PagedAttention do not use these.
pub(crate) use tap::{in_side_pass, tap};
pub(crate) use weights::pooled;
#[allow(unused_imports)]
pub(crate) use {cut::whole_positions, pages::whole_keys_values};
