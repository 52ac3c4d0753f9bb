//! What is asked of a model before it is served.
mod head;
mod picture;
mod prefix;
mod prefix_cache;
mod taps;

pub(crate) use picture::test_picture;
pub(crate) use prefix::test_prefix;
pub(crate) use prefix_cache::test_prefix_cache;
pub(crate) use taps::self_test;
