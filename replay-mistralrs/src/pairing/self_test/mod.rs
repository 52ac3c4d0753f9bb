//! Self-tests that every model passes before it is served: taps, logit lens, image prompts, differentiable decoder, prefix cache.
mod decoder;
mod image_prompt;
mod lens;
mod prefix_cache;
mod taps;

pub(crate) use decoder::test_decoder;
pub(crate) use image_prompt::test_image_prompt;
pub(crate) use prefix_cache::test_prefix_cache;
pub(crate) use taps::test_taps;
