//! What is asked of a model before it is served.
mod prefix;
mod taps;

pub(crate) use prefix::test_prefix;
pub(crate) use taps::self_test;
