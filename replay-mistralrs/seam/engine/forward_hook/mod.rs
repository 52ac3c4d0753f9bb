//! Observe and edit the residual stream of a model's prompt forward.
//!
//! Inert unless a hook is attached: one thread-local read per layer, one lock read per prompt step.
//!
//! Each file imports only files listed above it:
//!
//! * [`weights`]: tensors that two models hold once where they are equal;
//! * [`model`]: weights, vocabulary and configuration of a loaded model, and a model loaded with fewer layers;
//! * [`encodings`]: vision-tower outputs that the passes of one prompt share;
//! * [`keys_values`]: keys and values of a sequence's first positions;
//! * [`prompt`]: what a hook sees of the sequences that are about to be prefilled;
//! * [`isolate`]: sequence and cache set aside for a side pass, and put back;
//! * [`cut`]: what a model prepared for the whole prompt, cut to the rows after a known prefix;
//! * [`pages`]: known prefixes where keys and values are kept in pages;
//! * [`prefix`]: a prompt whose forward begins after a prefix of known keys and values;
//! * [`tap`]: the observation point in front of every decoder layer;
//! * [`pass`]: side passes, which leave no trace in sequences or caches;
//! * [`probe`]: passes of a model that no engine runs yet;
//! * [`call`], [`answer`]: what a hook may do in a prompt step, and after an answer;
//! * [`hook`]: the trait;
//! * [`attach`]: which pipeline has which hook, and the process-wide observer of engine starts;
//! * [`step`]: what the engine's own steps call.
mod answer;
mod attach;
mod call;
mod cut;
mod encodings;
mod hook;
mod isolate;
mod keys_values;
mod model;
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
pub use hook::PromptHook;
pub use keys_values::KeysValues;
pub use model::{with_config_edit, ModelWeights};
pub use probe::{probe, probe_later, Later};
pub use prompt::{MediaSpan, PromptRow, Request};
pub use tap::{Flow, LayerTap, Site};
pub use weights::WeightPool;

pub(crate) use attach::engine_start;
pub(crate) use cut::{
    before_prompt, entering, later_features, later_logits, later_offsets, later_positions, later_queries,
};
pub(crate) use encodings::{share_encoding, shared_encoding};
pub(crate) use model::edited_config;
pub(crate) use pages::donated;
pub(crate) use step::{answered, forward, prepare};
// Without PagedAttention nobody calls these.
pub(crate) use tap::{in_side_pass, tap};
pub(crate) use weights::pooled;
#[allow(unused_imports)]
pub(crate) use {cut::whole_positions, pages::whole_keys_values};
