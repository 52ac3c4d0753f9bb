//! What runs while prompts are prefilled: taps and side passes, lens and gradients, what is decided and edited, and what is kept.
pub(crate) mod backend;
pub(crate) mod decisions;
pub(crate) mod decoder;
pub(crate) mod edit;
pub(crate) mod hook;
pub(crate) mod lens;
pub(crate) mod orders;
pub(crate) mod prefix;
pub(crate) mod prefix_cache;
pub(crate) mod tap;
