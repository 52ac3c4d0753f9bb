//! Makes a replayed pair of two models: loads the base, checks that the models are a pair, runs the self-tests, and attaches replay to a
//! pipeline of the engine.
pub(crate) mod attach;
pub(crate) mod attached;
pub(crate) mod depth;
pub(crate) mod encoder_hash;
pub(crate) mod environment;
pub(crate) mod facts;
pub(crate) mod loaded_base;
pub(crate) mod loaded_pair;
pub(crate) mod memory;
pub(crate) mod pair_check;
pub(crate) mod policies;
pub(crate) mod self_test;
