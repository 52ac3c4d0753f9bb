//! What runs at each prefill: the hook, its taps and side passes, the lens and the differentiable decoder, and what is kept between requests.
pub(crate) mod capture_tap;
pub(crate) mod decisions;
pub(crate) mod decoder;
pub(crate) mod decoder_span;
pub(crate) mod edit_tap;
pub(crate) mod engine_prompt;
pub(crate) mod hook;
pub(crate) mod lens;
pub(crate) mod pending_report;
pub(crate) mod prefill_tasks;
pub(crate) mod prefix_cache;
pub(crate) mod replay_pair;
