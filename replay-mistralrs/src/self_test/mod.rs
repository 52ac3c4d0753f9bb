//! What is asked of a model before it is served.
mod head;
mod picture;
mod prefix;
mod taps;

pub(crate) use picture::test_picture;
pub(crate) use prefix::test_prefix;
pub(crate) use taps::self_test;
