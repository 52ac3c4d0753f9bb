//! From two models to a replayed pair: what has to agree, what is tested at the start, and how an engine's pipeline gets its replay.
pub(crate) mod attach;
pub(crate) mod attached;
pub(crate) mod base;
pub(crate) mod encoders;
pub(crate) mod environment;
pub(crate) mod facts;
pub(crate) mod loaded_pair;
pub(crate) mod memory;
pub(crate) mod pair;
pub(crate) mod policies;
pub(crate) mod self_test;
